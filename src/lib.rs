//! A SockJS server without an async runtime.
#![forbid(unsafe_code, unused_must_use)]
#![deny(missing_docs, unreachable_pub)]

// The layers below the public face are reachable for `fuzz/` and `benches/`, hidden from the docs, and promise nothing.
#[doc(hidden)]
pub mod collections;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod sockjs;
#[doc(hidden)]
pub mod websocket;

mod handle;
mod handler;
mod mounts;
mod reactor;
mod server;

pub use engine::{
    Cause, Close, Counters, EndpointOptions, Event, OptionError, Request, Response, SendError, ServerOptions,
    SessionId,
};
pub use handle::Handle;
pub use handler::{Admission, Context, Endpoint, EndpointId, Handler, Session};
pub use server::{MountError, Report, Server};
pub use sockjs::{Transport, Transports};
