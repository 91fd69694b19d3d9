//! An endpoint that echoes, does as it is told, and tells a test all that it hears.

use std::sync::mpsc::{self, Receiver, Sender};

use sockjs_server::{Close, Handler, Request, Session};

use super::PATIENCE;

/// The handler. `close CODE REASON` closes the session, what holds `hush` gets no echo; anything else gets one.
pub struct Recorder(Sender<String>);

/// What it heard, in order.
pub struct Record(Receiver<String>);

pub fn recorder() -> (Recorder, Record) {
    let (sender, receiver) = mpsc::channel();
    (Recorder(sender), Record(receiver))
}

impl Recorder {
    fn note(&self, event: String) {
        // A test that has ended does not listen.
        let _ = self.0.send(event);
    }
}

impl Handler for Recorder {
    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        self.note("open".to_owned());
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        self.note(format!("text {text}"));
        if let Some(order) = text.strip_prefix("close ") {
            let (code, reason) = order.split_once(' ').expect("code and reason");
            session.close(code.parse().expect("a code"), reason);
        } else if !text.contains("hush") {
            session.send(text).expect("there is room");
        }
    }

    fn on_binary(&mut self, session: &mut Session<'_>, bytes: &[u8]) {
        self.note(format!("binary {bytes:?}"));
        session.send_binary(bytes).expect("there is room");
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        self.note(format!("close {} {:?}", close.code, close.cause));
    }
}

impl Record {
    /// The next event; waits for it.
    pub fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("an event")
    }

    /// Everything up to and including the close.
    pub fn until_close(&self) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let last = event.starts_with("close ");
            events.push(event);
            if last {
                return events;
            }
        }
    }

    /// Nothing was heard beyond what was asked for. To be called when the server has nothing left to do.
    pub fn expect_silence(&self) {
        assert_eq!(self.0.try_recv().ok(), None);
    }
}
