//! The opening handshake (RFC 6455 §4.2). What the request offers goes in, the accept key or the refusal
//! comes out. Header fields are found and split by the caller, which knows HTTP; nothing of the request is kept
//! or echoed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use std::{error, fmt, str};

/// The value of `Sec-WebSocket-Version` that goes with a 426 (RFC 6455 §4.4). hybi-10 calls itself 8 and
/// hybi-07 calls itself 7.
pub const SUPPORTED_VERSIONS: &str = "13, 8, 7";

/// Appended to the key before it is hashed (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a GET request says about becoming a WebSocket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer<'a> {
    /// The `Upgrade` list holds `websocket`, in any case.
    pub upgrade: bool,
    /// The `Connection` list holds `upgrade`, in any case.
    pub connection: bool,
    /// `Sec-WebSocket-Version`, without white space around it.
    pub version: Option<&'a [u8]>,
    /// `Sec-WebSocket-Key`, without white space around it.
    pub key: Option<&'a [u8]>,
    /// How many `Sec-WebSocket-Key` fields there are.
    pub key_count: usize,
    /// `Sec-WebSocket-Key1` or `Sec-WebSocket-Key2` is there: the mark of hixie-76.
    pub hixie: bool,
}

/// The value of `Sec-WebSocket-Accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The header's value.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Decides on an offer. Faults are told in the order in which a client would fix them: upgrade, connection,
/// version, key.
pub fn accept(offer: &Offer<'_>) -> Result<AcceptKey, HandshakeError> {
    if !offer.upgrade {
        return Err(HandshakeError::NotWebSocketUpgrade);
    }
    if !offer.connection {
        return Err(HandshakeError::ConnectionNotUpgrade);
    }
    if offer.hixie {
        return Err(HandshakeError::ObsoleteDraft);
    }
    match offer.version {
        Some(b"13" | b"8" | b"7") => {}
        Some(_) => return Err(HandshakeError::UnsupportedVersion),
        None => return Err(HandshakeError::ObsoleteDraft),
    }
    match offer.key {
        Some(key) if offer.key_count == 1 && is_key(key) => Ok(accept_key(key)),
        _ => Err(HandshakeError::BadKey),
    }
}

/// Whether `key` is the base64 of 16 bytes: 22 characters and two of padding. The four bits that the last
/// character has to spare may be anything, as in RFC 6455's own example (§4.1, `AQIDBAUGBwgJCgsMDQ4PEC==`).
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_base64))
}

/// RFC 6455 §4.2.2, item 5.4.
fn accept_key(key: &[u8]) -> AcceptKey {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    let written = STANDARD.encode_slice(digest, &mut accept);
    debug_assert_eq!(written, Ok(accept.len()), "20 bytes are 28 characters");
    AcceptKey(accept)
}

/// Whether `name` can be a subprotocol's (RFC 6455 §4.1, item 10): a token of RFC 9110 §5.6.2.
pub fn is_subprotocol_token(name: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_token)
}

/// Why an offer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// No `Upgrade`, or one to something else.
    NotWebSocketUpgrade,
    /// `Upgrade` is not listed in `Connection`.
    ConnectionNotUpgrade,
    /// hixie-76, or no version, as in hixie-75.
    ObsoleteDraft,
    /// A version other than [`SUPPORTED_VERSIONS`]; the answer must list those.
    UnsupportedVersion,
    /// No key, several, or one that is not the base64 of 16 bytes.
    BadKey,
}

impl HandshakeError {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::UnsupportedVersion => 426,
            _ => 400,
        }
    }

    /// The body of the answer. SockJS suites compare the first two.
    pub fn body(self) -> &'static str {
        match self {
            Self::NotWebSocketUpgrade => "Can \"Upgrade\" only to \"WebSocket\".",
            Self::ConnectionNotUpgrade => "\"Connection\" must be \"Upgrade\".",
            Self::ObsoleteDraft => "\"Sec-WebSocket-Version\" is wanted: hixie drafts are not spoken.",
            Self::UnsupportedVersion => "\"Sec-WebSocket-Version\" must be 13, 8 or 7.",
            Self::BadKey => "\"Sec-WebSocket-Key\" must be one base64 of 16 bytes.",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC 6455 §4.2.1: {}", self.body())
    }
}

impl error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use HandshakeError::*;

    const GOOD: Offer<'_> = Offer {
        upgrade: true,
        connection: true,
        version: Some(b"13"),
        key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
        key_count: 1,
        hixie: false,
    };

    #[test]
    fn rfc_example() {
        assert_eq!(accept(&GOOD).unwrap().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn versions() {
        for version in [&b"13"[..], b"8", b"7"] {
            assert_eq!(accept(&Offer { version: Some(version), ..GOOD }), accept(&GOOD));
            assert!(SUPPORTED_VERSIONS.split(", ").any(|supported| supported.as_bytes() == version));
        }
        for version in [&b""[..], b"0", b"6", b"9", b"12", b"14", b"013", b"13, 8", b"+13", b"1\xFF3"] {
            let error = accept(&Offer { version: Some(version), ..GOOD }).unwrap_err();
            assert_eq!((error, error.status()), (UnsupportedVersion, 426), "{version:?}");
        }
    }

    #[test]
    fn refusals_in_their_order() {
        for (offer, error, body) in [
            (Offer::default(), NotWebSocketUpgrade, "Can \"Upgrade\" only to \"WebSocket\"."),
            (Offer { upgrade: false, ..GOOD }, NotWebSocketUpgrade, "Can \"Upgrade\" only to \"WebSocket\"."),
            (
                Offer { upgrade: true, ..Offer::default() },
                ConnectionNotUpgrade,
                "\"Connection\" must be \"Upgrade\".",
            ),
            (Offer { version: None, ..GOOD }, ObsoleteDraft, ObsoleteDraft.body()),
            (Offer { hixie: true, ..GOOD }, ObsoleteDraft, ObsoleteDraft.body()),
            (Offer { key: None, key_count: 0, ..GOOD }, BadKey, BadKey.body()),
            (Offer { key_count: 2, ..GOOD }, BadKey, BadKey.body()),
        ] {
            assert_eq!(accept(&offer), Err(error), "{offer:?}");
            assert_eq!((error.status(), error.body()), (400, body));
            assert_eq!(error.to_string(), format!("RFC 6455 §4.2.1: {body}"));
        }
    }

    #[test]
    fn keys() {
        for (key, good) in [
            (&b"x3JJHMbDL1EzLkh9GBhXDw=="[..], true),
            (b"AQIDBAUGBwgJCgsMDQ4PEC==", true),
            (b"++++++++++//////////AA==", true),
            (b"", false),
            (b"==", false),
            (b"dGhlIHNhbXBsZSBub25jZQ", false),
            (b"dGhlIHNhbXBsZSBub25jZQ=", false),
            (b"dGhlIHNhbXBsZSBub25jZQA=", false),
            (b"dGhlIHNhbXBsZSBub25jZQ===", false),
            (b"dGhlIHNhbXBsZSBub25j==", false),
            (b"dGhlIHNhbXBsZSBub25jZQAA==", false),
            (b"dGhlIHNhbXBsZSBub25-_Q==", false),
            (b"dGhlIHNhbXBsZSBub25 ZQ==", false),
            (b"dGhlIHNhbXBsZSBub2\xC3\xA9ZQ==", false),
        ] {
            assert_eq!(accept(&Offer { key: Some(key), ..GOOD }).is_ok(), good, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn subprotocol_names() {
        for (name, good) in [
            (&b"chat"[..], true),
            (b"v10.stomp", true),
            (b"!#$%&'*+-.^_`|~09azAZ", true),
            (b"", false),
            (b"two words", false),
            (b"a,b", false),
            (b"a/b", false),
            (b"\"quoted\"", false),
            (b"line\r\nbreak", false),
            (b"\xC3\xA9", false),
        ] {
            assert_eq!(is_subprotocol_token(name), good, "{}", name.escape_ascii());
        }
    }
}
