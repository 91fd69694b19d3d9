//! Everything that can be wrong with a request, and the status to answer it with.
//!
//! Each broken rule is a variant of its own that names its clause; whatever it was, the connection closes
//! after the answer.

use core::fmt;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// More empty lines before the request line than are forgiven.
    EmptyLines,
    /// A control byte other than HTAB, CR and LF in a head.
    ControlByte,
    /// A CR that no LF follows.
    BareCr,
    /// An LF that no CR precedes.
    BareLf,
    /// The request line is longer than its limit.
    RequestLineTooLong,
    /// The header section is longer than its limit.
    HeaderSectionTooLarge,
    /// There are more header fields than the limit.
    TooManyFields,
    /// What was given as a head ends too early or too late.
    HeadBoundary,
    /// The request line is not method, space, target, space, version.
    RequestLine,
    /// The version is well-formed, but neither 1.0 nor 1.1.
    UnsupportedVersion,
    /// The target has none of the four forms, or not the one its method takes.
    Target,
    /// CONNECT.
    Tunnel,
    /// A line of the header section starts with white space.
    FoldedField,
    /// A field name is empty, not a token, or not directly followed by its colon.
    FieldName,
    /// An HTTP/1.1 request without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host`, or the authority of an absolute target, is not a host with an optional port.
    HostInvalid,
    /// `Content-Length` is not one plain decimal number that fits.
    ContentLengthInvalid,
    /// More than one `Content-Length`, equal or not.
    ContentLengthRepeated,
    /// Both `Transfer-Encoding` and `Content-Length`.
    LengthAndTransferEncoding,
    /// `Transfer-Encoding` in an HTTP/1.0 request.
    TransferEncodingInHttp10,
    /// `chunked` is not last, not alone in being last, or decorated.
    TransferEncodingInvalid,
    /// A transfer coding below `chunked` that this server does not know.
    TransferCodingUnknown,
    /// An expectation other than `100-continue`.
    ExpectationUnknown,
    /// The body is longer than its limit.
    BodyTooLarge,
    /// A chunk size is not one to sixteen plain hexadecimal digits.
    ChunkSize,
    /// A chunk extension is malformed.
    ChunkExtension,
    /// Chunk data is longer than its size said.
    ChunkEnd,
    /// A trailer line is not a field line.
    Trailer,
    /// Chunk extensions, padding and trailers together are longer than their limit.
    ChunkOverhead,
}

impl HttpError {
    /// The status to answer with before the connection closes.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            HttpError::BodyTooLarge => 413,
            HttpError::RequestLineTooLong => 414,
            HttpError::ExpectationUnknown => 417,
            HttpError::HeaderSectionTooLarge | HttpError::TooManyFields => 431,
            HttpError::Tunnel | HttpError::TransferCodingUnknown => 501,
            HttpError::UnsupportedVersion => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpError::EmptyLines => "RFC 9112 §2.2: too many empty lines before the request line",
            HttpError::ControlByte => "RFC 9110 §5.5: a control byte in the head",
            HttpError::BareCr => "RFC 9112 §2.2: a CR without LF",
            HttpError::BareLf => "RFC 9112 §2.2: an LF without CR, which parsers read differently",
            HttpError::RequestLineTooLong => "RFC 9112 §3: the request line is longer than this server reads",
            HttpError::HeaderSectionTooLarge => {
                "RFC 6585 §5: the header section is longer than this server reads"
            }
            HttpError::TooManyFields => "RFC 6585 §5: more header fields than this server reads",
            HttpError::HeadBoundary => "RFC 9112 §2.1: not exactly one request head",
            HttpError::RequestLine => "RFC 9112 §3: the request line is not method, target and version",
            HttpError::UnsupportedVersion => "RFC 9110 §15.6.6: neither HTTP/1.1 nor HTTP/1.0",
            HttpError::Target => "RFC 9112 §3.2: the target is malformed, or not of a form its method takes",
            HttpError::Tunnel => "RFC 9110 §9.3.6: this server makes no tunnels",
            HttpError::FoldedField => "RFC 9112 §5.2: a field line starts with white space",
            HttpError::FieldName => "RFC 9112 §5.1: a field name is not a token directly followed by a colon",
            HttpError::HostMissing => "RFC 9112 §3.2: no Host",
            HttpError::HostRepeated => "RFC 9112 §3.2: more than one Host",
            HttpError::HostInvalid => "RFC 9110 §7.2: the host is not uri-host with an optional port",
            HttpError::ContentLengthInvalid => "RFC 9112 §6.3: Content-Length is not one decimal number",
            HttpError::ContentLengthRepeated => "RFC 9112 §6.3: more than one Content-Length",
            HttpError::LengthAndTransferEncoding => {
                "RFC 9112 §6.1: both Transfer-Encoding and Content-Length"
            }
            HttpError::TransferEncodingInHttp10 => "RFC 9112 §6.1: Transfer-Encoding in an HTTP/1.0 request",
            HttpError::TransferEncodingInvalid => {
                "RFC 9112 §6.3: the last transfer coding is not exactly chunked"
            }
            HttpError::TransferCodingUnknown => "RFC 9112 §6.1: a transfer coding that is not implemented",
            HttpError::ExpectationUnknown => "RFC 9110 §10.1.1: an expectation other than 100-continue",
            HttpError::BodyTooLarge => "RFC 9110 §15.5.14: the body is longer than this server reads",
            HttpError::ChunkSize => "RFC 9112 §7.1: a chunk size is not plain hexadecimal",
            HttpError::ChunkExtension => "RFC 9112 §7.1.1: a malformed chunk extension",
            HttpError::ChunkEnd => "RFC 9112 §7.1: chunk data does not end where its size said",
            HttpError::Trailer => "RFC 9112 §7.1.2: a trailer line is not a field line",
            HttpError::ChunkOverhead => "RFC 9112 §7.1.1: too much around the chunks of this body",
        })
    }
}

impl core::error::Error for HttpError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_answer_and_which_rule_was_broken() {
        let table = [
            (HttpError::BareLf, 400),
            (HttpError::HostMissing, 400),
            (HttpError::LengthAndTransferEncoding, 400),
            (HttpError::ChunkSize, 400),
            (HttpError::BodyTooLarge, 413),
            (HttpError::ChunkOverhead, 400),
            (HttpError::RequestLineTooLong, 414),
            (HttpError::ExpectationUnknown, 417),
            (HttpError::HeaderSectionTooLarge, 431),
            (HttpError::TooManyFields, 431),
            (HttpError::Tunnel, 501),
            (HttpError::TransferCodingUnknown, 501),
            (HttpError::UnsupportedVersion, 505),
        ];
        for (error, status) in table {
            assert_eq!(error.status(), status, "{error}");
            assert!(error.to_string().starts_with("RFC "), "{error}");
        }
    }
}
