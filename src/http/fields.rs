//! The fields that steer a connection: `Host`, `Content-Length`, `Transfer-Encoding`, `Connection`, `Expect`.
//!
//! In go the fields of a head; out comes how its body is framed and what becomes of the connection, or the
//! first rule broken. All of them are read in one pass, before anything acts on the request.

use httparse::Header;

use super::{HttpError, Version, target};

/// Where the body of a request ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body comes in chunks and says itself where it ends.
    Chunked,
}

/// What the head says about its body and its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steering {
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

impl Steering {
    /// Reads the steering fields among `headers`.
    pub(super) fn read(headers: &[Header<'_>], version: Version) -> Result<Self, HttpError> {
        let mut host = false;
        let mut length = None;
        let mut codings = Codings::Absent;
        let mut persistence = Persistence::Unsaid;
        let mut expects_continue = false;
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // The length first: few names share one, so most fields cost one jump and no comparison.
            match header.name.len() {
                4 if is("host") => {
                    if host {
                        return Err(HttpError::HostRepeated);
                    }
                    if !target::is_host(header.value) {
                        return Err(HttpError::HostInvalid);
                    }
                    host = true;
                }
                6 if is("expect") && version == Version::Http11 => {
                    expects_continue |= read_expectation(header.value)?;
                }
                10 if is("connection") => persistence = persistence.max(Persistence::read(header.value)),
                14 if is("content-length") => {
                    if length.is_some() {
                        return Err(HttpError::ContentLengthRepeated);
                    }
                    length = Some(read_length(header.value)?);
                }
                17 if is("transfer-encoding") => codings = codings.read(header.value)?,
                _ => {}
            }
        }
        if !host && version == Version::Http11 {
            return Err(HttpError::HostMissing);
        }
        Ok(Steering {
            framing: decide_framing(length, codings, version)?,
            keep_alive: match version {
                Version::Http11 => persistence != Persistence::Close,
                Version::Http10 => persistence == Persistence::KeepAlive,
            },
            expects_continue,
        })
    }
}

/// The elements of a comma-separated list without white space around them. The caller judges empty ones.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// `value` without optional white space around it: SP and HTAB (RFC 9110 §5.6.3).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What `Connection` says about the time after this request. The greater wins (RFC 9112 §9.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Persistence {
    Unsaid,
    KeepAlive,
    Close,
}

impl Persistence {
    fn read(value: &[u8]) -> Self {
        let option = |option: &[u8]| {
            if option.eq_ignore_ascii_case(b"close") {
                Persistence::Close
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                Persistence::KeepAlive
            } else {
                Persistence::Unsaid
            }
        };
        list(value).map(option).max().unwrap_or(Persistence::Unsaid)
    }
}

/// How far the transfer codings, over all their fields, have been read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Codings {
    Absent,
    /// Only codings that are not `chunked`: if the list ends here, the end of the body is unknown.
    Unframed,
    Chunked,
    /// `chunked` over codings that are not known here.
    ChunkedOverOthers,
}

impl Codings {
    /// Reads the codings of one field after those of the fields before it.
    ///
    /// Empty elements are refused, which RFC 9110 §5.6.1.2 would have ignored: with them, one parser's last
    /// coding is not another's.
    fn read(self, value: &[u8]) -> Result<Self, HttpError> {
        list(value).try_fold(self, |codings, coding| {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            match codings {
                Codings::Absent if is_chunked => Ok(Codings::Chunked),
                Codings::Unframed if is_chunked => Ok(Codings::ChunkedOverOthers),
                Codings::Absent | Codings::Unframed if is_coding(coding) => Ok(Codings::Unframed),
                _ => Err(HttpError::TransferEncodingInvalid),
            }
        })
    }
}

/// `transfer-coding = token *( OWS ";" OWS transfer-parameter )`, the parameters not looked at. Decorated
/// `chunked` is none: it takes no parameters (RFC 9112 §7.1).
fn is_coding(coding: &[u8]) -> bool {
    let name = coding.split(|&byte| byte == b';').next().map(trim).unwrap_or_default();
    !name.is_empty() && name.iter().all(|&byte| is_token_byte(byte)) && !name.eq_ignore_ascii_case(b"chunked")
}

/// `tchar`, RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A decimal number as machines write it: digits alone, and no leading zeros. `parse` alone would take `+80` and
/// `0080`, which another reader may refuse, or read as octal.
pub(super) fn decimal<N: core::str::FromStr>(text: &str) -> Option<N> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

/// `Content-Length = 1*DIGIT`, and no list of equal ones (RFC 9110 §8.6).
fn read_length(value: &[u8]) -> Result<u64, HttpError> {
    // `parse` alone would take a leading plus.
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::ContentLengthInvalid);
    }
    let digits = core::str::from_utf8(value).unwrap_or_default();
    digits.parse().map_err(|_| HttpError::ContentLengthInvalid)
}

/// `Expect`, RFC 9110 §10.1.1. True for `100-continue`, false if the list is empty. HTTP/1.0 does not know
/// the field, and it is ignored there.
fn read_expectation(value: &[u8]) -> Result<bool, HttpError> {
    list(value).filter(|expectation| !expectation.is_empty()).try_fold(false, |_, expectation| {
        if expectation.eq_ignore_ascii_case(b"100-continue") {
            Ok(true)
        } else {
            Err(HttpError::ExpectationUnknown)
        }
    })
}

/// RFC 9112 §6.3, without any of the guesses it permits.
fn decide_framing(length: Option<u64>, codings: Codings, version: Version) -> Result<Framing, HttpError> {
    match (codings, length) {
        (Codings::Absent, None) => Ok(Framing::None),
        (Codings::Absent, Some(length)) => Ok(Framing::Length(length)),
        (_, Some(_)) => Err(HttpError::LengthAndTransferEncoding),
        _ if version == Version::Http10 => Err(HttpError::TransferEncodingInHttp10),
        (Codings::Chunked, None) => Ok(Framing::Chunked),
        (Codings::ChunkedOverOthers, None) => Err(HttpError::TransferCodingUnknown),
        (Codings::Unframed, None) => Err(HttpError::TransferEncodingInvalid),
    }
}
