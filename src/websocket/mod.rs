//! WebSocket, the server's side: RFC 6455 whole, and the drafts hybi-10 and hybi-07 that share its framing.
//!
//! In go header values and masked bytes from a client; out come decisions, messages, and the bytes of server
//! frames. Nothing here touches a socket or a clock, negotiates an extension, answers by itself (pongs and
//! close frames are the caller's to send), or allocates because a client announced a length.
//!
//! From the top:
//!
//! - [`handshake`]: may this request become a WebSocket, and with which accept key?
//! - [`message`]: a stream of client bytes into messages, pings and closes;
//! - [`close`]: close codes, reasons and frames;
//! - [`discard`]: what a client sends behind our close;
//! - [`frame`]: one frame's header, read and written;
//! - [`utf8`] and [`mask`]: the two passes over every payload byte.

pub mod close;
pub mod discard;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod message;
pub mod utf8;

mod error;

pub use error::WebSocketError;
