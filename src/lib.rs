//! A [SockJS](https://github.com/sockjs/sockjs-client) server for programs that have no async runtime and want none:
//! one thread, one mio event loop, hand-written HTTP/1.1 and WebSocket.
//!
//! # The shortest server
//!
//! ```no_run
//! use sockjs_server::{Server, Session};
//!
//! fn main() -> std::io::Result<()> {
//!     let mut server = Server::bind("127.0.0.1:8081")?;
//!     server.mount("/echo", |session: &mut Session<'_>, text: &str| {
//!         let _ = session.send(text);
//!     })?;
//!     server.run()
//! }
//! ```
//!
//! # In order of need
//!
//! The [`guide`] has a chapter for each thing that programs do, from authentication to restarts, and chapters by which
//! to judge this library: tests, costs, platforms, threats. Here is what there is:
//!
//! 1. **A handler with state of its own** is a type that implements [`Handler`]: `on_open`, `on_message`, `on_close`
//!    and more; all but `on_message` have defaults. A closure is one too, if messages are all it handles;
//!    [`handler_fn`] infers its types.
//! 2. **State kept with each session** is the `S` of [`Handler<S>`](Handler) and [`Session<'_, S>`](Session): made by
//!    [`Handler::admit`] of the session's first request, reached through [`Session::state`], dropped with the session.
//! 3. **Several endpoints**: [`Server::mount`] once for each, [`Server::mount_with`] for [`EndpointOptions`]
//!    of its own. They share nothing.
//! 4. **Admission**: [`Handler::admit`] sees each request before its session opens. A [`Refusal`] is a status, a
//!    whole response, or a close that the page hears after one attempt. [`EndpointOptions::origins`] lists the
//!    origins that are admitted at all.
//! 5. **Sending**: [`Session::send`], [`Session::broadcast`], [`Session::close`]; to other sessions through
//!    [`Session::endpoint`] and their [`SessionId`]. From any callback, in any order.
//!    Groups: [`Session::join`], and [`Session::publish`] to all members; [`Handler::on_group_start`] and
//!    [`Handler::on_group_end`] tell of the first member and the last one. What happens where a client does not read:
//!    [`Overflow`], [`Handler::on_drain`], [`Session::queued`].
//! 6. **From other threads**: a [`Handle`], from [`Server::handle`]; it says when it asks for more than the server can
//!    do. The tasks that it takes run on the server's thread, with all states and handlers in reach: [`Context`].
//! 7. **Timers**: [`Session::set_timer`] and [`Endpoint::set_timer`], as many as the program has numbers for.
//! 8. **Other paths of the port**, a page or a health check: [`Server::fallback`]. A [`Body`] is bytes,
//!    shared or not, or a reader that is asked for more as its client takes it; an answer may come later, by
//!    its [`Ticket`]: [`Reply::later`].
//! 9. **A loop of one's own**: [`Server::turn`]; or, in a foreign poll loop, [`Server::next_timeout`] and the server's
//!    descriptor. Between two turns [`Server::endpoint`] and [`Server::handler`] reach sessions, their states and
//!    handlers, without a lock. Listening sockets from elsewhere: [`Server::add_listener`]; connections that another
//!    server of the program has accepted: [`Server::add_connection`].
//! 10. **The end**: [`Handle::shutdown`] or [`Server::shutdown`] closes every session; [`Server::drain`] lets
//!     them leave first, for a restart that disturbs no client; [`Server::run_until_stopped`] reports what was
//!     left. In parts: [`Server::stop_listening`], [`Server::refuse_sessions`]. One session: [`Session::close`],
//!     or at once [`Session::terminate`].
//! 11. **Looking inside**: [`Server::counters`] and [`Server::observe`]. The library itself prints nothing.
//! 12. **Raw WebSocket for programs**: binary messages ([`Handler::on_binary`], [`Session::send_binary`]) and
//!     [`EndpointOptions::subprotocols`], of which [`Session::subprotocol`] is the chosen one.
//! 13. **TLS in the process**, a cipher or a tunnel: a [`Layer`] between sockets and server,
//!     from [`ListenerOptions::layers`].
//! 14. **Tests of handlers** without sockets, threads and sleeping: [`simulation::Simulation`].
//!
//! # Limits
//!
//! Every limit is an option, of the server ([`ServerOptions`]) or of an endpoint ([`EndpointOptions`]), and what lies
//! beyond it has an answer. A value that cannot work is refused when the server is built. What a server can use at
//! most, whatever its clients do, is [`Server::memory_ceiling`].
//!
//! | option | of the | default | beyond it |
//! |---|---|---|---|
//! | `request_line` | server | 8 KiB | 414, connection closes |
//! | `header_section`, `header_count` | server | 16 KiB, 100 | 431, connection closes |
//! | `body_size` (outside of endpoints) | server | 1 MiB | 413, connection closes |
//! | `head_timeout`, `body_timeout` | server | 10 s, 30 s | 408, or a close where nothing was asked |
//! | `answer_timeout` (answers that come later) | server | 60 s | 503 |
//! | `keep_alive` | server | 75 s | connection closes |
//! | `write_stall` | server | 30 s without a byte taken | connection is aborted, its session closes |
//! | `slowest_client` | server | 16 KiB/s | waits for a client do not allow for slower reading |
//! | `close_timeout` | server | 5 s | the closing handshake is over without the client |
//! | `connections` | server | 65,536 | accepting pauses |
//! | `connections_per_client` | server | no limit | connection closes at once |
//! | `sessions_per_client` | server | no limit | 429 |
//! | `buffered_bytes` | server | 256 MiB | 503, close code 1013, or [`SendError::Full`] |
//! | `mailbox_bytes` | server | 16 MiB | [`HandleError::Busy`] |
//! | `shutdown_grace` | server | 10 s | the connections that remain are cut and counted |
//! | `message_size` | endpoint | 1 MiB | close code 1009, or 413 |
//! | `send_queue` | endpoint | 1 MiB | [`SendError::Full`]; a broadcast closes with 1013, or skips ([`Overflow`]) |
//! | `session_id_length` | endpoint | 128 bytes | 404 |
//! | `sessions` (refused with a close, too) | endpoint | 65,536 | the session that waited longest for a receiver closes, or 503 |
//! | `groups`, `groups_per_session`, `group_name_length` | endpoint | 65,536, 32, 128 bytes | [`JoinError`] |
//! | `response_limit` | endpoint | 128 KiB | the streaming response ends, the client opens the next |
//! | `disconnect_delay` | endpoint | 5 s | a session without a receiver closes |
//! | `heartbeat_delay` | endpoint | 25 s | a heartbeat; on WebSocket also a ping |
//! | `pong_timeout` | endpoint | 10 s | session closes |
//!
//! These are fixed: 8 KiB for what surrounds a chunked body's data (400), 125 bytes for control frames (1002), 16 KiB
//! of requests pipelined behind a response under way, and 64 KiB of answers that their client does not read: beyond
//! these its requests stay unread. A session makes room for another when it has been without a receiver for a second.
//! At a [`Layer`], 32 KiB become wire bytes at once, and while more than 16 KiB of its own wait its client is not read.
//! One turn of the loop has a budget of work over all clients together, with what leaves some 20 ms: 200,000 messages
//! that are queued for clients, or fewer of them beside requests, messages, ends of sessions and commands; and 256
//! requests and messages of one connection; and 32 reads of connections whose layers are in their handshakes. What
//! follows is first in the next turn, so that no client waits long for another.
//!
//! # What may change
//!
//! Within the versions that Cargo takes for compatible, programs that compile go on compiling, and these may grow:
//!
//! - The structs [`ServerOptions`], [`EndpointOptions`], [`Counters`], [`Refusals`], [`Close`], [`Pending`]
//!   and [`Report`] may get fields. They are `#[non_exhaustive]`: options are made by `default()` and
//!   setters, and a pattern ends with `..`.
//! - The enums [`AnswerError`], [`Cause`], [`Event`], [`HandleError`], [`JoinError`], [`MountError`],
//!   [`Overflow`], [`Preamble`], [`Received`], [`SendError`] and [`Transport`] may get cases. They are
//!   `#[non_exhaustive]`: a `match` has an arm `_`.
//! - [`Handler`], [`Layer`] and [`LayerFactory`] may get methods with a default.
//! - [`Refusal`], [`OptionError`], [`NetworkError`], [`Response`], [`Body`], [`Reply`], [`Request`],
//!   the ids, [`Ticket`] and the types of [`simulation`] are opaque.
//!
//! All of it is listed in `tests/surface/list.txt`, and a test compares the list with the code.
//!
//! Not promised are the texts of errors, bodies and `Debug`, the sizes of types, and the modules that these pages do
//! not show. The defaults of options may change with a minor version, and the changes of the README name them.
//! Rust 1.88 or later is needed; a later one only with a minor version.
//!
//! # How it is built
//!
//! What goes over the wire, rule by rule, is the module [`protocol`]; code and tests cite it by section.
//!
//! From the bottom up, each module using only those before it: `collections` (slab, lists, table, timer wheel); `http`,
//! `websocket` and `sockjs`, the pure protocols; `engine`, the whole server without a socket or a clock; `layer`, what
//! may stand between sockets and engine; two drivers for the engine, `reactor`, the only one with sockets, and
//! `loopback`, whose sockets are buffers; and on top what this page documents, with `host` below both kinds of servers:
//! handlers, commands, and the stages of the end are theirs in common.
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
pub mod loopback;
#[doc(hidden)]
pub mod sockjs;
#[doc(hidden)]
pub mod websocket;

mod containment;
mod handle;
mod handler;
mod host;
mod incoming;
mod layer;
mod mailbox;
mod mounts;
mod reactor;
mod server;
pub mod simulation;

pub mod guide;

#[doc = include_str!("protocol.md")]
pub mod protocol {}

pub use engine::{
    AnswerError, Body, Cause, Close, Counters, EndpointOptions, Event, JoinError, OptionError, Overflow,
    Refusal, Refusals, Reply, Request, Response, SendError, ServerOptions, SessionId, Ticket,
};
pub use handle::{Handle, HandleError, Pending};
pub use handler::{Context, Endpoint, EndpointId, Handler, Session, handler_fn};
pub use host::{MountError, Report};
pub use http::{Network, NetworkError};
pub use incoming::Incoming;
pub use layer::{Layer, LayerError, LayerFactory, PLAIN_AT_ONCE, Received};
pub use server::{ListenerOptions, Preamble, Server};
pub use sockjs::{Transport, Transports};

/// The README's snippets compile as they stand.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
