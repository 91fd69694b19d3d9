//! The SockJS protocol: what its URLs, frames, bodies and pages look like.
//!
//! In go paths, query values, request bodies and messages; out come routes, messages, callbacks and the exact
//! bytes of frames and pages. Nothing here knows HTTP, WebSocket framing, sessions, sockets or clocks, and
//! nothing that a client sends makes it panic.
//!
//! A request's way through: [`route()`] names what a path asks for, [`callback()`] admits the name of a
//! JavaScript function, [`form`] and [`Messages`] read what the client sends. The other way: [`json`] writes
//! one message, [`frame`] puts frames into the form of their [`Transport`]; [`info`] and [`iframe`] are the
//! two documents that clients fetch.

pub mod callback;
pub mod form;
pub mod frame;
pub mod iframe;
pub mod info;
pub mod json;
pub mod payload;
pub mod route;
pub mod transport;

mod scan;

#[cfg(test)]
mod random;

pub use callback::{Callback, CallbackError, callback};
pub use frame::{
    HEARTBEAT_FRAME, MESSAGES_END, MESSAGES_START, OPEN_FRAME, simple_wrapping, wrap, write_close_frame,
};
pub use iframe::Iframe;
pub use info::{Info, write_info};
pub use payload::{Messages, PayloadError};
pub use route::{Action, Route, route};
pub use transport::{Transport, Transports};

/// What an endpoint answers at its prefix, for people and health checks.
pub const GREETING: &str = "Welcome to SockJS!\n";
