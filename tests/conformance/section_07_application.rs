//! Section 7 as the application sees it: handlers that take notes of what they are told.

use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::time::Duration;

use sockjs_server::{Close, EndpointOptions, Handler, Refusal, Request, ServerOptions, Session};

use crate::support::PATIENCE;
use crate::support::TestServer;
use crate::support::receiver::Receiver;
use crate::support::target::{Target, eventually};
use crate::support::wire::{HTTP, STREAMING, Transport};

/// What a [`Notes`] handler does with a message: `close` closes, `last` sends something and closes, the rest is echoed.
/// Behind each close it hands over what it was told.
struct Notes(Sender<Vec<String>>);

impl Handler<Vec<String>> for Notes {
    fn admit(&mut self, _: &Request<'_>) -> Result<Vec<String>, Refusal> {
        Ok(Vec::new())
    }

    fn on_open(&mut self, session: &mut Session<'_, Vec<String>>, _: &Request<'_>) {
        session.state_mut().push("open".to_owned());
    }

    fn on_message(&mut self, session: &mut Session<'_, Vec<String>>, text: &str) {
        session.state_mut().push(text.to_owned());
        match text {
            "close" => session.close(3001, "as you wish"),
            "last" => {
                session.send("first words").expect("room");
                session.send("last words").expect("room");
                session.close(3002, "bye");
                assert!(session.send("too late").is_err());
            }
            _ => session.send(text).expect("room"),
        }
    }

    fn on_close(&mut self, session: &mut Session<'_, Vec<String>>, _: &Close) {
        let mut notes = std::mem::take(session.state_mut());
        notes.push("close".to_owned());
        // The test may have seen enough.
        let _ = self.0.send(notes);
    }
}

/// A server that takes notes, and forgets soon.
fn noting() -> (TestServer, Target, Inbox<Vec<String>>) {
    let (sender, notes) = channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.disconnect_delay = Duration::from_millis(200);
        server.mount_with("/notes", options, Notes(sender)).expect("mount");
    });
    let target = Target::at(server.address);
    (server, target, notes)
}

pub fn messages_before_close() {
    let (_server, target, _notes) = noting();
    let words = r#"a["first words","last words"]"#;
    let bye = r#"c[3002,"bye"]"#;
    for transport in HTTP {
        let session = target.session("/notes");
        let mut receiver = Receiver::open(&target, transport, &session);
        assert_eq!(receiver.frame(), "o");
        target.send(&session, r#"["last"]"#);
        for frame in [words, bye] {
            if !transport.is_streaming() {
                receiver = Receiver::open(&target, transport, &session);
            }
            assert_eq!(receiver.frame(), frame, "{transport:?}");
        }
        receiver.expect_end();
    }
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/notes")));
    websocket.send(r#"["last"]"#);
    assert_eq!([websocket.text(), websocket.text(), websocket.text()], ["o", words, bye]);
    let mut raw = target.websocket("/notes/websocket");
    raw.send("last");
    assert_eq!([raw.text(), raw.text()], ["first words", "last words"]);
    assert_eq!(raw.close(), Some((3002, "bye".to_owned())));
}

pub fn close_ends_receiver() {
    let (_server, target, _notes) = noting();
    for transport in STREAMING {
        let session = target.session("/notes");
        let mut receiver = Receiver::open(&target, transport, &session);
        assert_eq!(receiver.frame(), "o");
        target.send(&session, r#"["close"]"#);
        assert_eq!(receiver.frame(), r#"c[3001,"as you wish"]"#);
        receiver.expect_end();
        assert_eq!(target.poll(&session), r#"c[3001,"as you wish"]"#);
    }
}

pub fn told_once() {
    let (server, target, notes) = noting();
    let expect = |expected: &[&str], how: &str| {
        assert_eq!(notes.recv_timeout(PATIENCE).expect("a close is told"), expected, "{how}");
    };
    for transport in HTTP {
        let open = || {
            let session = target.session("/notes");
            let mut receiver = Receiver::open(&target, transport, &session);
            assert_eq!(receiver.frame(), "o");
            target.send(&session, r#"["1","2"]"#);
            target.send(&session, r#"["3"]"#);
            (session, receiver)
        };
        drop(open());
        expect(&["open", "1", "2", "3", "close"], &format!("{transport:?} breaks off, or never comes back"));
        let (session, _receiver) = open();
        target.send(&session, r#"["close","unheard"]"#);
        expect(&["open", "1", "2", "3", "close", "close"], &format!("{transport:?} is closed by the server"));
    }
    for path in ["/notes/0/s/websocket", "/notes/websocket"] {
        let open = || {
            let mut websocket = target.websocket(path);
            websocket.send("\"1\"").send("\"2\"");
            websocket
        };
        let one_two: &[&str] = match path {
            "/notes/websocket" => &["open", "\"1\"", "\"2\"", "close"],
            _ => &["open", "1", "2", "close"],
        };
        open().send_close(1000, "");
        expect(one_two, "a WebSocket closes");
        drop(open());
        expect(one_two, "a WebSocket vanishes");
        open().send_frame(0x83, b"");
        expect(one_two, "a WebSocket breaks the protocol");
    }
    let _open = Receiver::open(&target, Transport::EventSource, &target.session("/notes"));
    server.handle.shutdown();
    expect(&["open", "close"], "the server shuts down");
    assert!(notes.recv_timeout(PATIENCE).is_err(), "nothing is told twice, and the handler is dropped");
}

/// Refuses every session with a close.
struct Closed;

impl Handler for Closed {
    fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
        Err(Refusal::close(4001, "no \"token\""))
    }

    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        panic!("the application never hears of it");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

pub fn refused_with_a_close() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/closed", Closed).expect("mount");
    });
    let target = Target::at(server.address);
    let frame = r#"c[4001,"no \"token\""]"#;
    for transport in HTTP {
        let session = target.session("/closed");
        let mut receiver = Receiver::open(&target, transport, &session);
        assert_eq!(receiver.frame(), "o", "{transport:?}");
        for _ in 0..2 {
            if !transport.is_streaming() {
                receiver = Receiver::open(&target, transport, &session);
                assert_eq!(receiver.frame(), frame, "{transport:?}");
            }
        }
        if transport.is_streaming() {
            assert_eq!(receiver.frame(), frame, "{transport:?}");
        }
        receiver.expect_end();
        assert_eq!(target.poll(&session), frame, "{transport:?}");
    }
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/closed")));
    assert_eq!([websocket.text(), websocket.text()], ["o", frame]);
    assert_eq!(websocket.close(), Some((1000, "Normal closure".to_owned())));
    let mut raw = target.websocket("/closed/websocket");
    assert_eq!(raw.close(), Some((4001, "no \"token\"".to_owned())));
    assert_eq!((server.counters().opened, server.counters().closed), (0, 0));
}

/// Hands over all that a request tells of itself.
struct Curious(Sender<String>);

impl Handler for Curious {
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        self.0.send(format!("{} {:?}", request.path(), request.query())).expect("the test listens");
        Ok(())
    }

    fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
        let told = format!("{} {:?} {}", request.path(), request.query(), session.id());
        self.0.send(told).expect("the test listens");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

pub fn id_is_secret() {
    let (sender, told) = channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.disconnect_delay = Duration::from_millis(10);
        server.mount_with("/curious", options, Curious(sender)).expect("mount");
    });
    let target = Target::at(server.address);
    for transport in HTTP {
        assert_eq!(Receiver::open(&target, transport, "/curious/server/secret").frame(), "o");
        for _ in 0..2 {
            let told = told.recv_timeout(PATIENCE).expect("the handler is asked");
            assert!(!told.contains("secret"), "{transport:?}: the handler was told {told:?}");
        }
        // The next transport finds the id free.
        eventually("the session is forgotten", || {
            target.post("/curious/server/secret/xhr_send", "[]").status == 404
        });
    }
}
