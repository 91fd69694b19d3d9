//! Writes responses.
//!
//! In go a status, fields and a body or its framing; out go bytes at the end of the given buffer. Whatever a
//! value holds, and be it a client's, it cannot end its line: control bytes in it are left out.

use super::Date;

/// The end of a head behind which chunks follow (RFC 9112 §6.1).
pub const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n\r\n";

/// The end of a chunk's data (RFC 9112 §7.1).
pub const CHUNK_END: &[u8] = b"\r\n";

/// The end of a chunked body, without trailers (RFC 9112 §7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The most bytes around the data of one chunk: 16 digits of its size, and two ends of lines (RFC 9112 §7.1).
pub const CHUNK_FRAMING: usize = 20;

/// The interim response that a client with `Expect: 100-continue` waits for (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A response head that is being written. One of the methods that end it must be the last.
#[must_use = "a head without an end runs into what is written next"]
#[derive(Debug)]
pub struct ResponseHead<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> ResponseHead<'o> {
    /// Writes the status line and `Date`.
    ///
    /// The version is always HTTP/1.1: it says what the server can, not what this client did (RFC 9110 §2.5).
    /// A status of other than three digits would make the line unreadable; 500 is written in its place.
    pub fn new(out: &'o mut Vec<u8>, status: u16, date: &Date) -> Self {
        let status = if matches!(status, 100..=999) { status } else { 500 };
        out.extend_from_slice(b"HTTP/1.1 ");
        write_decimal(out, u64::from(status));
        out.push(b' ');
        out.extend_from_slice(reason_phrase(status).as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
        ResponseHead { out }
    }

    /// Adds a field. Control bytes in the value are left out.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    /// Adds a field whose value may not be UTF-8, such as a client's. Control bytes in it are left out.
    pub fn header_bytes(self, name: &str, value: &[u8]) -> Self {
        debug_assert!(
            !name.is_empty() && name.bytes().all(super::fields::is_token_byte),
            "{name:?} is no field name"
        );
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        // Without early exit, so that it is done many bytes at a time.
        if value.iter().fold(false, |found, byte| found | byte.is_ascii_control()) {
            self.out.extend(value.iter().filter(|byte| !byte.is_ascii_control()));
        } else {
            self.out.extend_from_slice(value);
        }
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the head with `Content-Length` and writes the body behind it.
    pub fn body(self, body: &[u8]) {
        self.content_length(body.len()).extend_from_slice(body);
    }

    /// Ends the head as [`body`](Self::body) would for a body of this length, but without the body: the
    /// answer to HEAD.
    pub fn body_for_head(self, length: usize) {
        self.content_length(length);
    }

    /// Ends the head; chunks follow.
    pub fn chunked(self) {
        self.out.extend_from_slice(CHUNKED);
    }

    /// Ends the head without saying where a body ends: for 101, 204 and 304, which have none, and for one
    /// that lasts until the connection closes.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// Leaves the head open, for [`write_content_length`] when the body's length is known.
    pub fn leave_open(self) {}

    fn content_length(self, length: usize) -> &'o mut Vec<u8> {
        write_content_length(self.out, length);
        self.out
    }
}

/// Ends a head that was left open; as many bytes of body must follow.
pub fn write_content_length(out: &mut Vec<u8>, length: usize) {
    write_long_content_length(out, length as u64);
}

/// The same for a body that may be larger than memory.
pub fn write_long_content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    write_decimal(out, length);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The header field without which an answer of this status is invalid, and says nothing that its client could act on
/// (RFC 9110 §15.3.7.1, §15.5.2, §15.5.6, §15.5.8, §15.5.22).
#[must_use]
pub fn required_field(status: u16) -> Option<&'static str> {
    match status {
        206 => Some("Content-Range"),
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        407 => Some("Proxy-Authenticate"),
        426 => Some("Upgrade"),
        _ => None,
    }
}

/// The customary words for a status (RFC 9110 §15, RFC 6585), empty if it is not a known one.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

/// Writes `parts` as one chunk (RFC 9112 §7.1). Nothing if they are empty: an empty chunk would end the body.
pub fn write_chunk(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    if length == 0 {
        return;
    }
    write_chunk_size(out, length);
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(CHUNK_END);
}

/// Writes the size line of a chunk whose data, `length` bytes and never none, the caller writes and ends with
/// [`CHUNK_END`].
pub fn write_chunk_size(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length > 0, "an empty chunk ends the body");
    write_number::<16>(out, length as u64);
    out.extend_from_slice(b"\r\n");
}

/// Writes a decimal number.
pub fn write_decimal(out: &mut Vec<u8>, value: u64) {
    write_number::<10>(out, value);
}

/// Writes a number to a base of at most 16, without the machinery of `format!`.
fn write_number<const BASE: u64>(out: &mut Vec<u8>, mut value: u64) {
    // u64::MAX has 20 decimal digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        let digit = (value % BASE) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        start -= 1;
        value /= BASE;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before|".to_vec();
        write(&mut out);
        let text = String::from_utf8(out).expect("ASCII");
        text.strip_prefix("before|").expect("what was there stays").to_owned()
    }

    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

    fn date() -> Date {
        Date::new(784_111_777)
    }

    #[test]
    fn each_way_to_end_a_head() {
        let ok = format!("HTTP/1.1 200 OK\r\n{DATE}");
        let response = written(|out| {
            ResponseHead::new(out, 200, &date()).header("Content-Type", "text/plain").body(b"hello");
        });
        assert_eq!(response, format!("{ok}Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"));

        let empty = written(|out| ResponseHead::new(out, 200, &date()).body(b""));
        assert_eq!(empty, format!("{ok}Content-Length: 0\r\n\r\n"));

        let head = written(|out| ResponseHead::new(out, 200, &date()).body_for_head(131_072));
        assert_eq!(head, format!("{ok}Content-Length: 131072\r\n\r\n"));

        let chunked = written(|out| ResponseHead::new(out, 200, &date()).chunked());
        assert_eq!(chunked, format!("{ok}Transfer-Encoding: chunked\r\n\r\n"));

        let bare = written(|out| ResponseHead::new(out, 204, &date()).end());
        assert_eq!(bare, format!("HTTP/1.1 204 No Content\r\n{DATE}\r\n"));
    }

    #[test]
    fn an_unknown_status_has_no_phrase_and_an_impossible_one_is_500() {
        for (status, line) in [
            (299, "HTTP/1.1 299 \r\n"),
            (999, "HTTP/1.1 999 \r\n"),
            (0, "HTTP/1.1 500 Internal Server Error\r\n"),
            (99, "HTTP/1.1 500 Internal Server Error\r\n"),
            (1000, "HTTP/1.1 500 Internal Server Error\r\n"),
        ] {
            assert_eq!(
                written(|out| ResponseHead::new(out, status, &date()).end()),
                format!("{line}{DATE}\r\n"),
                "{status}"
            );
        }
    }

    #[test]
    fn no_value_breaks_its_line() {
        let mut value: Vec<u8> = (0..=255).collect();
        value.extend_from_slice(b"\r\nSet-Cookie: evil=1\r\n\r\n");
        let mut out = Vec::new();
        ResponseHead::new(&mut out, 200, &date()).header_bytes("Vary", &value).end();

        let fields = out.strip_prefix(format!("HTTP/1.1 200 OK\r\n{DATE}Vary: ").as_bytes()).expect("prefix");
        let value = fields.strip_suffix(b"\r\n\r\n").expect("end of head");
        let kept: Vec<u8> = (0x20..0x7f).chain(0x80..=0xff).chain(*b"Set-Cookie: evil=1").collect();
        assert_eq!(value, kept);

        let pair = written(|out| ResponseHead::new(out, 200, &date()).header("Vary", "a\r\nB: c").end());
        assert_eq!(pair, format!("HTTP/1.1 200 OK\r\n{DATE}Vary: aB: c\r\n\r\n"));
    }

    #[test]
    fn numbers() {
        for value in [0, 1, 9, 10, 15, 16, 99, 100, 65_535, 65_536, u64::MAX - 1, u64::MAX] {
            assert_eq!(written(|out| write_decimal(out, value)), value.to_string());
            assert_eq!(written(|out| write_number::<16>(out, value)), format!("{value:x}"));
        }
    }

    #[test]
    fn chunks() {
        let table: [(&[&[u8]], &str); 5] = [
            (&[], ""),
            (&[b"", b""], ""),
            (&[b"o\n"], "2\r\no\n\r\n"),
            (&[b"data: ", b"", b"a[\"x\"]", b"\r\n\r\n"], "10\r\ndata: a[\"x\"]\r\n\r\n\r\n"),
            (&[b"0123456789"], "a\r\n0123456789\r\n"),
        ];
        for (parts, expected) in table {
            assert_eq!(written(|out| write_chunk(out, parts)), expected);
        }
    }

    #[test]
    fn statuses_that_a_server_sends_have_a_phrase_and_others_have_none() {
        let known = [
            100..=101,
            200..=206,
            300..=304,
            307..=308,
            400..=417,
            421..=422,
            426..=426,
            428..=429,
            431..=431,
            500..=505,
            511..=511,
        ];
        for status in 0..=1_000 {
            let is_known = known.iter().any(|range| range.contains(&status));
            assert_eq!(!reason_phrase(status).is_empty(), is_known, "{status}");
        }
    }

    #[test]
    fn fields_that_a_status_requires() {
        for (status, field) in [
            (200, None),
            (206, Some("Content-Range")),
            (400, None),
            (401, Some("WWW-Authenticate")),
            (403, None),
            (405, Some("Allow")),
            (407, Some("Proxy-Authenticate")),
            (426, Some("Upgrade")),
            (429, None),
        ] {
            assert_eq!(required_field(status), field, "{status}");
        }
    }
}
