//! HTTP/1.1 on the server's side (RFC 9110, RFC 9112), without a socket or a clock.
//!
//! In go bytes as they arrived; out come a length, a value, "need more" or an [`HttpError`]. A request passes
//! through in this order:
//!
//! 1. [`HeadScanner`] finds where the head ends, and refuses on the way what must never be read on: control
//!    bytes, bare CR or LF, anything beyond [`HeadLimits`].
//! 2. [`Request::parse`] reads that head and decides, before anyone acts on it, how the body is framed and
//!    whether the connection lives on.
//! 3. [`BodyDecoder`] decodes the body in place, however it was cut into packets.
//! 4. [`ResponseHead`] writes the answer straight into the connection's output.
//!
//! The rule over all of it: where two parsers could disagree about a boundary, the request is refused; after
//! an error nothing more that arrives on the connection is a request. Nothing here allocates, but for the
//! output that is written into a `Vec`.

mod body;
mod chunk;
mod date;
mod error;
mod fields;
pub mod forwarded;
mod head;
mod origins;
pub mod proxy;
mod request;
mod response;
mod target;

pub use body::{BodyDecoder, Progress};
pub use date::{Date, http_date};
pub use error::HttpError;
pub use fields::Framing;
pub use forwarded::{Network, NetworkError};
pub use head::{HeadLimits, HeadScanner};
pub use origins::{Loading, OriginError, Origins};
pub use request::{HeaderStorage, MAX_HEADERS, Method, Request, Version};
pub use response::{
    CHUNK_END, CHUNK_FRAMING, CHUNKED, CONTINUE, LAST_CHUNK, ResponseHead, reason_phrase, required_field,
    write_chunk, write_chunk_size, write_content_length, write_decimal, write_long_content_length,
};
pub use target::{is_authority, is_normal_path};

#[cfg(test)]
mod testing;
