//! The log: a line for each event, for a person or for a program.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sockjs_server::{Event, Report, Request, SessionId};

use crate::{json, output};

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// A JSON object a line.
    Json,
}

/// The log of a server.
pub(crate) struct Log {
    /// `None`: only that a listener fails is told, which the operator must see.
    format: Option<Format>,
    /// The address behind each session that is open, for the line of its end.
    addresses: HashMap<SessionId, String>,
}

impl Log {
    pub(crate) fn new(format: Option<Format>) -> Self {
        Self { format, addresses: HashMap::new() }
    }

    /// Tells of an event, on the standard error.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        match self.format {
            Some(format) => {
                if let Some(line) = self.line(event) {
                    output::tell(format_args!("{}", line.write(format, now())));
                }
            }
            None => {
                if let Event::ListenerFailed { address, error, is_final } = event {
                    let (place, what) = (place(*address), failure(*is_final));
                    output::tell(format_args!("{place} {what}: {error}"));
                }
            }
        }
    }

    fn line(&mut self, event: &Event<'_>) -> Option<Line> {
        Some(match event {
            Event::Opened { session, endpoint, request } => {
                let address = address(request);
                self.addresses.insert(*session, address.clone());
                let transport = request.transport().map_or("", |transport| transport.name());
                Line::of("opened", *session, endpoint).text("address", &address).text("transport", transport)
            }
            Event::Closed { session, endpoint, close } => {
                let address = self.addresses.remove(session).unwrap_or_default();
                let line = Line::of("closed", *session, endpoint).text("address", &address);
                let line = line.number("code", close.code.into()).text("reason", &close.reason);
                line.text("cause", &format!("{:?}", close.cause))
            }
            Event::Skipped { session, endpoint, messages } => {
                let address = self.addresses.get(session).map_or("", String::as_str);
                Line::of("skipped", *session, endpoint).text("address", address).number("messages", *messages)
            }
            Event::Refused { peer, status } => {
                Line::new("refused").text("address", &place(*peer)).number("status", (*status).into())
            }
            Event::ListenerFailed { address, error, is_final } => Line::new("listener failed")
                .text("address", &place(*address))
                .text("error", &format!("{}: {error}", failure(*is_final))),
            Event::Panicked { session } => {
                let line = Line::new("panicked");
                match session {
                    Some(session) => line.text("session", &session.to_string()),
                    None => line,
                }
            }
            _ => return None,
        })
    }
}

/// Tells how the server stopped.
pub(crate) fn stopped(format: Format, report: &Report) {
    let line = Line::new("stopped").number("sessions_cut", report.sessions_cut as u64);
    let line = line.number("connections_cut", report.connections_cut as u64);
    output::tell(format_args!("{}", line.write(format, now())));
}

/// The client's address; where proxies stand between, the other end of the connection too.
fn address(request: &Request<'_>) -> String {
    match (request.client(), request.peer()) {
        (Some(client), Some(peer)) if client != peer.ip() => format!("{client} via {peer}"),
        (Some(client), None) => format!("{client} via a Unix socket"),
        (_, peer) => place(peer),
    }
}

fn place(address: Option<SocketAddr>) -> String {
    address.map_or("a Unix socket".to_owned(), |address| address.to_string())
}

fn failure(is_final: bool) -> &'static str {
    if is_final { "does not listen any more" } else { "takes no connections for now" }
}

/// Seconds and less since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What a line says, behind its time.
struct Line {
    event: &'static str,
    fields: Vec<(&'static str, Value)>,
}

enum Value {
    Text(String),
    Number(u64),
}

impl Line {
    fn new(event: &'static str) -> Self {
        Self { event, fields: Vec::new() }
    }

    fn of(event: &'static str, session: SessionId, endpoint: &str) -> Self {
        Self::new(event).text("session", &session.to_string()).text("endpoint", endpoint)
    }

    fn text(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, Value::Text(value.to_owned())));
        self
    }

    fn number(mut self, name: &'static str, value: u64) -> Self {
        self.fields.push((name, Value::Number(value)));
        self
    }

    fn write(&self, format: Format, time: Duration) -> String {
        let time = timestamp(time);
        match format {
            Format::Text => self.write_text(&time),
            Format::Json => self.write_json(&time),
        }
    }

    /// The event, its values as words, those that need it in quotation marks or with their names.
    fn write_text(&self, time: &str) -> String {
        let mut line = format!("{time} {}", self.event);
        for (name, value) in &self.fields {
            line.push(' ');
            match (value, *name) {
                // The client chose a reason's letters, and may have chosen those that end a line or colour a terminal.
                (Value::Text(text), "reason" | "error") => json::push_string(&mut line, text),
                (Value::Text(text), "session") => {
                    line.push_str("session ");
                    line.push_str(text);
                }
                (Value::Text(text), _) => line.push_str(text),
                (Value::Number(number), _) => {
                    let _ = write!(line, "{name} {number}");
                }
            }
        }
        line
    }

    fn write_json(&self, time: &str) -> String {
        let mut line = format!("{{\"time\":\"{time}\",\"event\":\"{}\"", self.event);
        for (name, value) in &self.fields {
            let _ = write!(line, ",\"{name}\":");
            match value {
                Value::Text(text) => json::push_string(&mut line, text),
                Value::Number(number) => {
                    let _ = write!(line, "{number}");
                }
            }
        }
        line.push('}');
        line
    }
}

/// A time since 1970 as RFC 3339 writes it, in UTC.
fn timestamp(time: Duration) -> String {
    let (seconds, milliseconds) = (time.as_secs(), time.subsec_millis());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// The date of a day since 1970, in the calendar of RFC 3339.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day at the end. 1970 began 719,468 days after the first of them, in
    // eras of 400 years, or 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (68_169_599_999, "1972-02-28T23:59:59.999Z"),
            (68_169_600_000, "1972-02-29T00:00:00.000Z"),
            (68_256_000_000, "1972-03-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_798_761_599_007, "2026-12-31T23:59:59.007Z"),
            (1_798_761_600_000, "2027-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn each_form_says_the_same() {
        let line =
            Line::new("closed").text("session", "3.1").text("endpoint", "/echo").text("address", "[::1]:5");
        let line = line.number("code", 3000).text("reason", "a\"\\\n\u{1b}[31m\u{9b}é");
        let text = line.write(Format::Text, Duration::ZERO);
        let reason = r#""a\"\\\u000a\u001b[31m\u009bé""#;
        let words = format!("closed session 3.1 /echo [::1]:5 code 3000 {reason}");
        assert_eq!(text, format!("1970-01-01T00:00:00.000Z {words}"));
        let json = line.write(Format::Json, Duration::ZERO);
        let fields = r#""session":"3.1","endpoint":"/echo","address":"[::1]:5","code":3000"#;
        let start = r#"{"time":"1970-01-01T00:00:00.000Z","event":"closed","#;
        assert_eq!(json, format!("{start}{fields},\"reason\":{reason}}}"));
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["reason"], "a\"\\\n\u{1b}[31m\u{9b}é");
    }
}
