//! Close frames (RFC 6455 §5.5.1, §7.4). A client's payload goes in and its code and reason come out, or the
//! rule it breaks; a server's code and reason go in and the whole frame comes out. When to send one is never
//! decided here.

use super::WebSocketError;
use super::frame::{self, CONTROL_LIMIT, Opcode};
use std::str;

/// The rest of a control frame's payload, behind the code.
pub const REASON_LIMIT: usize = CONTROL_LIMIT - size_of::<u16>();

/// The purpose is fulfilled (RFC 6455 §7.4.1, as all of these).
pub const NORMAL: u16 = 1000;
/// The server goes down.
pub const GOING_AWAY: u16 = 1001;
/// The protocol was broken.
pub const PROTOCOL_ERROR: u16 = 1002;
/// Data of a kind that is not taken.
pub const UNSUPPORTED: u16 = 1003;
/// No code was in the close frame; never on the wire.
pub const NO_STATUS: u16 = 1005;
/// There was no close frame; never on the wire.
pub const ABNORMAL: u16 = 1006;
/// A message is beyond the limit.
pub const TOO_BIG: u16 = 1009;
/// Too much is going on; in IANA's registry.
pub const TRY_AGAIN_LATER: u16 = 1013;

/// Code and reason of a client's close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why: one of the codes that may be sent.
    pub code: u16,
    /// Why, in words; often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads an unmasked payload. An empty one is a close without a code, which is fine: `None`.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, WebSocketError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() { Ok(None) } else { Err(WebSocketError::HalfCloseCode) };
        };
        let code = u16::from_be_bytes(*code);
        if !is_valid_received_code(code) {
            return Err(WebSocketError::InvalidCloseCode(code));
        }
        let reason = str::from_utf8(reason).map_err(|_| WebSocketError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }
}

/// Whether a peer may send `code`: what RFC 6455 §7.4 and IANA's registry define for the wire (1012–1014 came
/// later), and the ranges of libraries and applications. 1005, 1006 and 1015 are for local use alone.
pub fn is_valid_received_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The start of `reason` that fits a close frame, cut between characters.
pub fn truncate_reason(reason: &str) -> &str {
    let longest = reason.len().min(REASON_LIMIT);
    (0..=longest).rev().find_map(|end| reason.get(..end)).unwrap_or_default()
}

/// Writes a whole close frame. A reason can only follow a code: without one it is left out.
pub fn write_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let Some(code) = code else {
        return frame::write_header(out, Opcode::Close, 0);
    };
    let reason = truncate_reason(reason);
    frame::write_header(out, Opcode::Close, size_of::<u16>() + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_a_peer_may_send() {
        // Autobahn 7.7.1–13 and 7.9.1–11, and the edges of every range.
        for code in
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        {
            assert!(is_valid_received_code(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
            assert!(!is_valid_received_code(code), "{code}");
        }
    }

    #[test]
    fn payloads() {
        let longest = "x".repeat(123);
        for (payload, expected) in [
            (&b""[..], Ok(None)),
            (b"\x03", Err(WebSocketError::HalfCloseCode)),
            (b"\x03\xE8", Ok(Some(CloseFrame { code: 1000, reason: "" }))),
            (b"\x0B\xB8Go away!", Ok(Some(CloseFrame { code: 3000, reason: "Go away!" }))),
            (
                &[&[0x03, 0xE8], longest.as_bytes()].concat(),
                Ok(Some(CloseFrame { code: 1000, reason: &longest })),
            ),
            (b"\x03\xED", Err(WebSocketError::InvalidCloseCode(1005))),
            (b"\x03\xE8\xCE\xBA\xE1\xBD", Err(WebSocketError::InvalidUtf8)),
            (b"\x03\xED\xFF", Err(WebSocketError::InvalidCloseCode(1005))),
        ] {
            assert_eq!(CloseFrame::parse(payload), expected, "{payload:02x?}");
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        let fits = "é".repeat(61);
        for (reason, expected) in [
            (String::new(), String::new()),
            ("x".repeat(123), "x".repeat(123)),
            ("x".repeat(124), "x".repeat(123)),
            (fits.clone(), fits.clone()),
            (fits.clone() + "x", fits.clone() + "x"),
            (fits.clone() + "é", fits.clone()),
            (fits.clone() + "日", fits.clone()),
            ("x".repeat(120) + "😀", "x".repeat(120)),
            ("x".repeat(119) + "😀😀", "x".repeat(119) + "😀"),
        ] {
            assert_eq!(truncate_reason(&reason), expected);
        }
    }

    #[test]
    fn frames() {
        for (code, reason, expected) in [
            (None, "", &b"\x88\x00"[..]),
            (None, "left out", b"\x88\x00"),
            (Some(1000), "", b"\x88\x02\x03\xE8"),
            (Some(1000), "Normal closure", b"\x88\x10\x03\xE8Normal closure"),
            (Some(3000), &"x".repeat(200), &[b"\x88\x7D\x0B\xB8", "x".repeat(123).as_bytes()].concat()),
        ] {
            let mut out = b"before".to_vec();
            write_close(&mut out, code, reason);
            assert_eq!(out, [b"before", expected].concat());
        }
    }
}
