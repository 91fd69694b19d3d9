//! The endpoints that outside test suites expect (section 11 of the wire contract).

use std::time::Duration;

use sockjs_server::{
    EndpointOptions, Handler, MountError, Request, SendError, Server, Session, Transport, Transports,
};

/// Bytes after which a streaming response of `/echo` ends, unless the options say fewer.
const ECHO_RESPONSE_LIMIT: usize = 4096;

/// Mounts all of them, each with these options but for what makes it special. The prefix goes behind a `base_url`.
pub(crate) fn mount(server: &mut Server, options: &EndpointOptions) -> Result<(), MountError> {
    let at = |prefix: &str| {
        let mut options = options.clone();
        options.base_url = options.base_url.map(|base| base + prefix);
        options
    };
    let limit = options.response_limit.min(ECHO_RESPONSE_LIMIT);
    server.mount_with("/echo", at("/echo").response_limit(limit), Echo)?;
    let others = options.transports.without(Transport::WebSocket).without(Transport::RawWebSocket);
    // An endpoint without transports cannot be.
    if others != Transports::none() {
        let prefix = "/disabled_websocket_echo";
        server.mount_with(prefix, at(prefix).transports(others), Echo)?;
    }
    let cookie = options.jsessionid.clone().unwrap_or_default();
    let prefix = "/cookie_needed_echo";
    server.mount_with(prefix, at(prefix).jsessionid(cookie), Echo)?;
    server.mount_with("/close", at("/close"), Close)?;
    server.mount_with("/ticker", at("/ticker"), Ticker)?;
    server.mount_with("/amplify", at("/amplify"), |session: &mut Session<'_>, text: &str| {
        let exponent = text.trim().parse().ok().filter(|exponent| (1..19).contains(exponent)).unwrap_or(1);
        let sent = session.send("x".repeat(1 << exponent));
        close_if_full(session, sent);
    })?;
    server.mount_with("/broadcast", at("/broadcast"), |session: &mut Session<'_>, text: &str| {
        session.broadcast(text);
    })?;
    Ok(())
}

/// A client that does not read, and has no room for more, is told so: a gap is never silent.
fn close_if_full(session: &mut Session<'_>, sent: Result<(), SendError>) {
    if sent == Err(SendError::Full) {
        session.close(1013, "Send queue full");
    }
}

/// Sends back what it gets.
struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let sent = session.send(text);
        close_if_full(session, sent);
    }

    fn on_binary(&mut self, session: &mut Session<'_>, bytes: &[u8]) {
        let sent = session.send_binary(bytes);
        close_if_full(session, sent);
    }
}

/// Closes every session as it opens.
struct Close;

impl Handler for Close {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        session.close(3000, "Go away!");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

/// Sends a tick every second.
struct Ticker;

/// Its timer.
const TICK: u32 = 0;

impl Handler for Ticker {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        session.set_timer(TICK, Duration::from_secs(1));
    }

    fn on_timer(&mut self, session: &mut Session<'_>, _: u32) {
        let sent = session.send("tick!");
        close_if_full(session, sent);
        session.set_timer(TICK, Duration::from_secs(1));
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}
