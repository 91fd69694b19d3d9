//! A client that sees every byte: plain sockets, and just enough HTTP and WebSocket to say what arrived.
//!
//! It is no SockJS client: nothing is retried, repaired or hidden, and whatever is not as the contract has it panics with
//! what came instead. Every wait is bounded by [`PATIENCE`].

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod http;
pub mod transport;
pub mod websocket;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::{Answer, Connection};
use websocket::WebSocket;

/// How long anything may take. Nothing takes this long where a rule holds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The server under test.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// The value of `Host`.
    pub host: String,
    /// What stands before the endpoints' prefixes; mostly nothing.
    pub base: String,
}

impl Target {
    /// A server on this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), base: String::new() }
    }

    /// A server named by a URL such as `http://localhost:8081`.
    pub fn named(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or(format!("{url}: only http:// is spoken here"))?;
        let (host, base) = rest.split_once('/').map_or((rest, ""), |(host, _)| (host, &rest[host.len()..]));
        let authority = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = authority.to_socket_addrs().map_err(|error| format!("{url}: {error}"))?;
        let address = addresses.next().ok_or(format!("{url}: no address"))?;
        Ok(Self { address, host: host.to_owned(), base: base.trim_end_matches('/').to_owned() })
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.connect().ask(method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask("POST", path, "", body.as_ref())
    }

    /// The path of a session that nobody has used before.
    pub fn session(&self, endpoint: &str) -> String {
        format!("{endpoint}/000/{}", fresh_id())
    }

    /// A session that is open already, by one poll that ended.
    pub fn opened(&self, endpoint: &str) -> String {
        let session = self.session(endpoint);
        assert_eq!(self.poll(&session), "o", "the first frame");
        session
    }

    /// One poll of a session: its frame.
    pub fn poll(&self, session: &str) -> String {
        let answer = self.post(&format!("{session}/xhr"), "");
        assert_eq!(answer.status, 200, "{}", answer.head);
        let frame = answer.text().strip_suffix('\n');
        frame.unwrap_or_else(|| panic!("a frame and a line feed, not {:?}", answer.text())).to_owned()
    }

    /// Sends messages, given as the JSON of their array.
    pub fn send(&self, session: &str, json: &str) {
        let answer = self.post(&format!("{session}/xhr_send"), json);
        assert_eq!(answer.status, 204, "xhr_send: {} {:?}", answer.head, answer.text());
    }

    pub fn websocket(&self, path: &str) -> WebSocket {
        WebSocket::open(self, path)
    }
}

/// A session id that was never used, on this server or by another run.
pub fn fresh_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    format!("{:x}-{:x}-{}", std::process::id(), nanos, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks again and again, unhurriedly, until it is so; says how long that took.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "this did not come about: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    start.elapsed()
}
