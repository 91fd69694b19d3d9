//! The bytes around the data of a chunked body: sizes, extensions, line ends, trailers (RFC 9112 §7.1).
//!
//! In goes one byte at a time, out comes the next state, the length of the data that follows, or the end. The
//! grammar is followed to the letter but for white space between a size and its extension, which is refused;
//! extensions and trailers are checked and forgotten.

use super::HttpError;
use super::fields::is_token_byte;

/// Most digits of a chunk size: as many as fit in 64 bits.
const SIZE_DIGITS: u8 = 16;

/// Where in the syntax of a chunked body the next byte stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Syntax {
    /// In the digits of a chunk size.
    Size { size: u64, digits: u8 },
    /// In the extensions behind a size.
    Extension { size: u64, part: Extension },
    /// Before the LF of a size line.
    SizeLf { size: u64 },
    /// Before the CR behind a chunk's data.
    DataCr,
    /// Before the LF behind that.
    DataLf,
    /// In the trailer section.
    Trailer(Trailer),
}

/// What a byte led to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// More syntax.
    Syntax(Syntax),
    /// A chunk's data, this many bytes and never none.
    Data(u64),
    /// The end of the body.
    End,
}

/// `chunk-ext = *( ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, RFC 9112 §7.1.1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extension {
    /// Behind the semicolon.
    NameStart,
    Name,
    /// White space behind a name.
    NameEnd,
    /// Behind the equals sign.
    ValueStart,
    Value,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    /// Behind the closing quote.
    QuotedEnd,
    /// White space behind a value.
    ValueEnd,
}

/// `trailer-section = *( field-line CRLF )` and the CRLF that ends the body, RFC 9112 §7.1.2.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trailer {
    LineStart,
    Name,
    Value,
    /// Before the LF of a line.
    LineLf,
    /// Before the LF of the last, empty line.
    LastLf,
}

impl Syntax {
    /// Before the first chunk, and behind each.
    pub(super) const START: Syntax = Syntax::Size { size: 0, digits: 0 };

    /// Whether `byte` is one a client could have done without: padding, extension or trailer.
    pub(super) fn is_overhead(self, byte: u8) -> bool {
        match self {
            Syntax::Size { size, .. } => size == 0 && byte == b'0',
            Syntax::Extension { .. } | Syntax::Trailer(_) => true,
            Syntax::SizeLf { .. } | Syntax::DataCr | Syntax::DataLf => false,
        }
    }

    /// Takes the next byte.
    pub(super) fn step(self, byte: u8) -> Result<Step, HttpError> {
        let next = match (self, byte) {
            (Syntax::Size { size, digits }, _) => step_size(size, digits, byte)?,
            (Syntax::Extension { size, part }, _) => step_extension(size, part, byte)?,
            (Syntax::SizeLf { size: 0 }, b'\n') => Syntax::Trailer(Trailer::LineStart),
            (Syntax::SizeLf { size }, b'\n') => return Ok(Step::Data(size)),
            (Syntax::SizeLf { .. }, _) => return Err(HttpError::ChunkSize),
            (Syntax::DataCr, b'\r') => Syntax::DataLf,
            (Syntax::DataLf, b'\n') => Syntax::START,
            (Syntax::DataCr | Syntax::DataLf, _) => return Err(HttpError::ChunkEnd),
            (Syntax::Trailer(Trailer::LastLf), b'\n') => return Ok(Step::End),
            (Syntax::Trailer(part), _) => Syntax::Trailer(step_trailer(part, byte)?),
        };
        Ok(Step::Syntax(next))
    }
}

/// `chunk-size = 1*HEXDIG`: no sign, no prefix, no white space.
fn step_size(size: u64, digits: u8, byte: u8) -> Result<Syntax, HttpError> {
    let digit = char::from(byte).to_digit(16);
    match (digit, byte) {
        // Sixteen digits fill 64 bits exactly, so no bit is shifted out.
        (Some(digit), _) if digits < SIZE_DIGITS => {
            Ok(Syntax::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
        }
        (None, b';') if digits > 0 => Ok(Syntax::Extension { size, part: Extension::NameStart }),
        (None, b'\r') if digits > 0 => Ok(Syntax::SizeLf { size }),
        _ => Err(HttpError::ChunkSize),
    }
}

fn step_extension(size: u64, part: Extension, byte: u8) -> Result<Syntax, HttpError> {
    use Extension::{Escaped, Name, NameEnd, NameStart, Quoted, QuotedEnd, Value, ValueEnd, ValueStart};
    let part = match (part, byte) {
        (NameStart | ValueStart, b' ' | b'\t') => part,
        (NameStart | Name, _) if is_token_byte(byte) => Name,
        (ValueStart | Value, _) if is_token_byte(byte) => Value,
        (Name | NameEnd, b'=') => ValueStart,
        (ValueStart, b'"') => Quoted,
        (Quoted, b'"') => QuotedEnd,
        (Quoted, b'\\') => Escaped,
        // qdtext and quoted-pair alike hold HTAB, SP, visible bytes and obs-text (RFC 9110 §5.6.4).
        (Quoted | Escaped, b'\t' | b' '..=b'~' | 0x80..) => Quoted,
        (Name | NameEnd | Value | QuotedEnd | ValueEnd, b';') => NameStart,
        (Name | NameEnd, b' ' | b'\t') => NameEnd,
        (Value | QuotedEnd | ValueEnd, b' ' | b'\t') => ValueEnd,
        (Name | Value | QuotedEnd, b'\r') => return Ok(Syntax::SizeLf { size }),
        _ => return Err(HttpError::ChunkExtension),
    };
    Ok(Syntax::Extension { size, part })
}

fn step_trailer(part: Trailer, byte: u8) -> Result<Trailer, HttpError> {
    match (part, byte) {
        (Trailer::LineStart, b'\r') => Ok(Trailer::LastLf),
        (Trailer::LineStart | Trailer::Name, _) if is_token_byte(byte) => Ok(Trailer::Name),
        (Trailer::Name, b':') => Ok(Trailer::Value),
        (Trailer::Value, b'\t' | b' '..=b'~' | 0x80..) => Ok(Trailer::Value),
        (Trailer::Value, b'\r') => Ok(Trailer::LineLf),
        (Trailer::LineLf, b'\n') => Ok(Trailer::LineStart),
        _ => Err(HttpError::Trailer),
    }
}
