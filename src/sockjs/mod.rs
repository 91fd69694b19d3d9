//! The SockJS protocol: what its URLs, frames, bodies and pages look like.

pub mod callback;
pub mod form;
pub mod frame;
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
pub use payload::{Messages, PayloadError};
pub use route::{Action, Route, route};
pub use transport::{Transport, Transports};
