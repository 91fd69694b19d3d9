//! A server that may be another than ours, by its URL, and requests to it that each have a connection of their own.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::PATIENCE;
use super::client::{Answer, Client};
use super::frames::HANDSHAKE;
use super::websocket::WebSocket;

/// The server under test.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// The value of `Host`.
    pub host: String,
    /// The text before the prefixes of the endpoints; mostly nothing.
    pub base: String,
    is_foreign: bool,
}

impl Target {
    /// A server of ours on this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), base: String::new(), is_foreign: false }
    }

    /// A server named by a URL such as `http://localhost:8081`.
    pub fn named(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or(format!("{url}: only http:// is spoken here"))?;
        let (host, base) = rest.split_once('/').map_or((rest, ""), |(host, _)| (host, &rest[host.len()..]));
        let authority = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = authority.to_socket_addrs().map_err(|error| format!("{url}: {error}"))?;
        let address = addresses.next().ok_or(format!("{url}: no address"))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { address, host: host.to_owned(), base, is_foreign: true })
    }

    pub fn connect(&self) -> Client {
        let mut client = Client::connect(self.address);
        (client.host, client.base) = (self.host.clone(), self.base.clone());
        client.is_foreign = self.is_foreign;
        client
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

    /// The path of a session that was never used before.
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
        let answer = self.post(&format!("{session}/xhr"), "").expect(200);
        let frame = answer.text().strip_suffix('\n');
        frame.unwrap_or_else(|| panic!("a frame and a line feed, not {:?}", answer.text())).to_owned()
    }

    /// Sends messages, given as the JSON of their array.
    pub fn send(&self, session: &str, json: &str) {
        self.post(&format!("{session}/xhr_send"), json).expect(204);
    }

    pub fn websocket(&self, path: &str) -> WebSocket {
        WebSocket::open_on(self.connect(), path, HANDSHAKE)
    }
}

/// A session id that was never used, on this server or by another run.
pub fn fresh_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    format!("{:x}-{:x}-{}", std::process::id(), nanos, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks again and again, unhurriedly, until it is so; returns how long that took.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "this did not come about: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    start.elapsed()
}
