//! A session as its client and the application see it, and what must hold of both views.

use std::hash::Hash;

use super::fingerprint::SERIAL;
use crate::collections::Key;
use crate::engine::tests::world::Moment;
use crate::engine::{Cause, Close, EndpointOptions, Engine, SendError, Session};

/// A stream ends with its second message, and two messages fill a queue.
pub(super) fn options() -> EndpointOptions {
    EndpointOptions { response_limit: 16, send_queue: 12, ..EndpointOptions::default() }
}

/// The message at which the handler panics.
pub(super) const PANIC: &str = "panic";

/// What the public face makes of a panic.
pub(super) fn panics(engine: &mut Engine, key: Key<Session>) {
    let reason = "Internal error".to_owned();
    engine.close_session(key, Close::new(3000, &reason, Cause::Panic));
}

/// The handler of most searches: it does nothing by itself.
pub(super) fn handler(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
    if let Moment::Message(PANIC) = moment {
        panics(engine, key);
    }
}

/// A handler that wants no sessions.
pub(super) fn closes_at_open(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
    if let Moment::Open = moment {
        engine.close(key, 3000, "Go away!");
    }
}

/// A handler that cannot have sessions.
pub(super) fn panics_at_open(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
    if let Moment::Open = moment {
        panics(engine, key);
    }
}

/// The cause in what the recorder has of a close.
fn cause_of(line: &str) -> Cause {
    let name = line.rsplit(' ').next().expect("a word");
    let causes = [
        Cause::Application,
        Cause::Client,
        Cause::Expired,
        Cause::Interrupted,
        Cause::Panic,
        Cause::Unresponsive,
    ];
    let found = causes.into_iter().find(|cause| format!("{cause:?}") == name);
    found.unwrap_or_else(|| panic!("{line}"))
}

/// Notes a line of what the application was told: an opening, a message in order and once, a drain. Of a close it
/// returns the session and the cause, which each kind of client checks.
pub(super) fn note(
    line: &str,
    lives: &mut Vec<Life>,
    untold: &mut Vec<String>,
    now: u64,
) -> Option<(usize, Cause)> {
    let mut words = line.split(' ');
    let number: usize = words.next().expect("a number").parse().expect("a number");
    let what = words.next().expect("what was told");
    if what == "open" {
        assert_eq!(number, lives.len(), "open is told once");
        lives.push(Life::begin(now));
        return None;
    }
    let life = lives.get_mut(number).expect("open is told first");
    assert_eq!(life.close, None, "{line} behind the close");
    match what {
        "message" => {
            assert!(!untold.is_empty(), "{line} twice");
            assert_eq!(words.next(), Some(&*untold.remove(0)), "in order, and once");
        }
        "drain" => assert!(std::mem::take(&mut life.awaits_drain), "nothing was full"),
        _ => {
            let cause = cause_of(line);
            life.close = Some(cause);
            return Some((number, cause));
        }
    }
    None
}

/// What became of a session so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// The close of which the application was told.
    pub(super) close: Option<Cause>,
    /// Messages that `send` took, and those of them that the client has read.
    accepted: usize,
    read: usize,
    said: Said,
    /// The client left a response that it had not read whole, or took nothing of it for too long:
    /// what was under way may be lost.
    pub(super) is_broken: bool,
    /// The application was told that the queue is full, and not yet that it has drained.
    pub(super) awaits_drain: bool,
    /// A response that carried frames of this session ended at this time, with its last byte.
    pub(super) received_until: u64,
}

/// What the client has read of how its session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Said {
    #[default]
    Nothing,
    Open,
    Closed,
}

/// The messages of one direction: a letter and the last digit of a serial number.
pub(super) fn message(serial: usize) -> String {
    format!("{}{}", char::from(SERIAL), serial % 10)
}

impl Life {
    pub(super) fn begin(now: u64) -> Self {
        Self { received_until: now, ..Self::default() }
    }

    /// The application sends its next message.
    pub(super) fn send(&mut self, engine: &mut Engine, key: Key<Session>) {
        match engine.send(key, message(self.accepted)) {
            Ok(()) => self.accepted += 1,
            Err(SendError::Full) => self.awaits_drain = true,
            Err(error) => panic!("{error:?} of a session that is open"),
        }
    }

    /// Whether the client has read that it is over.
    pub(super) fn is_said_to_be_over(&self) -> bool {
        self.said == Said::Closed
    }

    /// Whether the application ended it, so that what waited goes to the client before the close frame.
    fn is_ended_by_application(&self) -> bool {
        matches!(self.close, Some(Cause::Application | Cause::Panic))
    }

    /// What its future depends on.
    pub(super) fn state(&self, now: u64) -> impl Hash + use<> {
        let (outstanding, waited) = (self.accepted - self.read, now - self.received_until);
        (self.close, outstanding, self.said, self.is_broken, self.awaits_drain, waited)
    }

    /// The client has read a frame of it.
    pub(super) fn read(&mut self, frame: &str) {
        match frame {
            "o" => {
                assert_eq!(self.said, Said::Nothing, "the open frame comes once, and first");
                self.said = Said::Open;
            }
            "h" => assert_eq!(self.said, Said::Open, "heartbeats come while a session is open"),
            frame if frame.starts_with('a') => self.read_messages(frame),
            frame => self.read_close(frame),
        }
    }

    fn read_messages(&mut self, frame: &str) {
        assert_eq!(self.said, Said::Open, "{frame} comes while a session is open");
        let messages: Vec<String> = serde_json::from_str(&frame[1..]).expect("an array");
        for text in messages {
            self.read_message(&text);
        }
    }

    /// The client has read one message.
    pub(super) fn read_message(&mut self, text: &str) {
        assert!(self.read < self.accepted, "{text} was not sent");
        assert_eq!(text, message(self.read), "in order, without a gap, and once");
        self.read += 1;
    }

    fn read_close(&mut self, frame: &str) {
        let close = self.close.unwrap_or_else(|| panic!("{frame} of a session that is open"));
        let expected = match close {
            Cause::Application => r#"c[3000,"Go away!"]"#,
            Cause::Panic => r#"c[3000,"Internal error"]"#,
            Cause::Interrupted | Cause::Unresponsive => r#"c[1002,"Connection interrupted"]"#,
            other => panic!("{frame} of a session that ended by {other:?}"),
        };
        assert_eq!(frame, expected);
        self.said = Said::Closed;
        if self.is_ended_by_application() && !self.is_broken {
            assert_eq!(self.read, self.accepted, "what waits goes before the close frame");
        }
    }

    /// The client has read the close frame of its WebSocket, with this reason; behind the
    /// SockJS one, where there is one.
    pub(super) fn read_websocket_close(&mut self, reason: &str, is_raw: bool) {
        let expected = match self.close.expect("the close was told before") {
            Cause::Client => "",
            Cause::Application if is_raw => "Go away!",
            Cause::Panic if is_raw => "Internal error",
            _ => {
                assert_eq!(self.said, Said::Closed, "the SockJS close frame goes before");
                "Normal closure"
            }
        };
        assert_eq!(reason, expected);
        self.said = Said::Closed;
        if !self.is_broken {
            assert_eq!(self.read, self.accepted, "what waits goes before the close frame");
        }
    }

    /// Its client has read all there is, and stayed: nothing that was accepted may be missing.
    pub(super) fn check_all_is_read(&self) {
        if self.is_broken {
            return;
        }
        match self.close {
            None => {
                assert!(!self.awaits_drain, "the application waits for a queue to drain that is empty");
                assert_eq!((self.said, self.read), (Said::Open, self.accepted), "lost");
            }
            Some(Cause::Application | Cause::Panic | Cause::Client) => {
                assert_eq!((self.said, self.read), (Said::Closed, self.accepted), "lost");
            }
            Some(_) => {}
        }
    }
}
