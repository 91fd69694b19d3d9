//! The ways to an echo that are compared: the floor's, a raw WebSocket's, and that of SockJS over a WebSocket.

use std::io;

use sockjs_server::websocket::frame::Opcode;

use crate::child::Child;
use crate::client::{Connection, Reply, client_frame, json, payload, server_frame};
use crate::floor::Duty;
use crate::lanes::Pipe;

/// One way to an echo.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// The floor's, which moves so many bytes at once.
    Floor(usize),
    Raw,
    SockJs,
}

pub(crate) const FLOOR: &str = "floor";
pub(crate) const RAW: &str = "raw";
pub(crate) const SOCKJS: &str = "SockJS";

impl Echo {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor(_) => FLOOR,
            Self::Raw => RAW,
            Self::SockJs => SOCKJS,
        }
    }

    /// A server for it, in a process of its own.
    pub(crate) fn serve(self) -> io::Result<Child> {
        match self {
            Self::Floor(buffer) => Child::floor(Duty::Echo, buffer),
            Self::Raw | Self::SockJs => Child::server(),
        }
    }

    pub(crate) fn open(self, child: &Child) -> io::Result<Connection> {
        match self {
            Self::Floor(_) => Connection::open(child.address),
            Self::Raw => Connection::upgrade(child.address, "/echo/websocket"),
            Self::SockJs => Connection::upgrade(child.address, "/echo/000/session/websocket"),
        }
    }

    /// A client's message, as its bytes.
    pub(crate) fn request(self, text: &str) -> Vec<u8> {
        match self {
            Self::Floor(_) | Self::Raw => client_frame(Opcode::Text, text.as_bytes()),
            Self::SockJs => client_frame(Opcode::Text, &payload(text)),
        }
    }

    /// The reply to it.
    pub(crate) fn reply(self, text: &str) -> Reply {
        match self {
            Self::Floor(_) => Reply::Exact(self.request(text)),
            Self::Raw => Reply::Exact(server_frame(Opcode::Text, text.as_bytes())),
            Self::SockJs => Reply::Frames(json(text)),
        }
    }

    /// One connection that has `depth` messages under way.
    pub(crate) fn pipe(self, child: &Child, text: &str, depth: usize) -> io::Result<Pipe> {
        Ok(Pipe {
            connection: self.open(child)?,
            requests: self.request(text).repeat(depth),
            reply: self.reply(text),
            depth,
        })
    }
}
