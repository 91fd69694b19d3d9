//! A handler with state of its own, state kept with each session, endpoints that share nothing, and admission.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use sockjs_server::{
    Close, EndpointOptions, Handle, Handler, Refusal, Request, SendError, Server, ServerOptions, Session,
    SessionId, Transport,
};

use crate::clients::{Frame, Polling, WebSocket};
use crate::support::client::Client;
use crate::support::frames::handshake;
use crate::support::{PATIENCE, TestServer};

/// The program moves a server to its thread, and handles to wherever they are needed.
#[test]
fn a_server_is_send_and_a_handle_is_shared() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Clone + Send + Sync>() {}
    is_send::<Server>();
    is_shared::<Handle>();
}

/// Counts in the handler, for all sessions; and in the state, for each.
struct Counting {
    messages: usize,
}

struct Tally {
    messages: usize,
}

impl Handler<Tally> for Counting {
    fn admit(&mut self, _: &Request<'_>) -> Result<Tally, Refusal> {
        Ok(Tally { messages: 0 })
    }

    fn on_open(&mut self, session: &mut Session<'_, Tally>, _: &Request<'_>) {
        let text = format!("by {}", session.transport().name());
        session.send(&text).expect("a session that opens has room");
    }

    fn on_message(&mut self, session: &mut Session<'_, Tally>, text: &str) {
        self.messages += 1;
        session.state_mut().messages += 1;
        let text = format!("{text} {} {}", session.state().messages, self.messages);
        session.send(&text).expect("it is open");
    }
}

#[test]
fn a_handler_and_each_session_have_state_of_their_own() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/count", Counting { messages: 0 }).expect("mount");
    });
    let mut first = WebSocket::raw(server.address, "/count");
    let mut second = WebSocket::raw(server.address, "/count");
    assert_eq!(first.next_text(), "by websocket-raw");
    assert_eq!(second.next_text(), "by websocket-raw");
    assert_eq!(first.text("a").next_text(), "a 1 1");
    assert_eq!(second.text("b").next_text(), "b 1 2");
    assert_eq!(first.text("c").next_text(), "c 2 3");
}

/// Tells when it is dropped.
struct Guard {
    told: mpsc::Sender<&'static str>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.told.send("dropped").expect("the test is waiting");
    }
}

struct Guarded {
    told: mpsc::Sender<&'static str>,
}

impl Handler<Guard> for Guarded {
    fn admit(&mut self, _: &Request<'_>) -> Result<Guard, Refusal> {
        Ok(Guard { told: self.told.clone() })
    }

    fn on_message(&mut self, session: &mut Session<'_, Guard>, _: &str) {
        session.close(3000, "Go away!");
    }

    fn on_close(&mut self, session: &mut Session<'_, Guard>, _: &Close) {
        session.state().told.send("seen by on_close").expect("the test is waiting");
        self.told.send("closed").expect("the test is waiting");
    }
}

/// However it ends: the state goes right behind `on_close`, though the session lingers for a late receiver.
#[test]
fn the_state_is_dropped_with_the_session() {
    let (told, heard) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/guarded", Guarded { told }).expect("mount");
    });
    let expect_end = || {
        assert_eq!(heard.recv_timeout(PATIENCE), Ok("seen by on_close"));
        assert_eq!(heard.recv_timeout(PATIENCE), Ok("closed"));
        assert_eq!(heard.recv_timeout(PATIENCE), Ok("dropped"));
    };
    WebSocket::raw(server.address, "/guarded").leave();
    expect_end();
    drop(WebSocket::sockjs(server.address, "/guarded"));
    expect_end();
    let mut polling = Polling::open(server.address, "/guarded", "a");
    assert_eq!(polling.send(r#"["end it"]"#), 204);
    expect_end();
    assert_eq!(polling.poll(), r#"c[3000,"Go away!"]"#);
    let _polling = Polling::open(server.address, "/guarded", "b");
    server.stop();
    expect_end();
    assert!(heard.try_recv().is_err(), "once for each");
}

/// Says under which path its session was opened.
struct Path;

impl Handler for Path {
    fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
        session.send(request.path()).expect("a session that opens has room");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

/// Section 7, clause 9 of the wire contract: the client's name of its session is a secret.
#[test]
fn a_path_that_names_a_session_ends_with_the_prefix() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/a/b", Path).expect("mount");
    });
    let mut polling = Polling::open(server.address, "/a/b", "secret");
    assert_eq!(polling.poll(), r#"a["/a/b"]"#);
    assert_eq!(WebSocket::sockjs(server.address, "/a/b").next_text(), r#"a["/a/b"]"#);
}

#[test]
fn a_path_that_names_no_session_is_whole() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/a/b", Path).expect("mount");
    });
    assert_eq!(WebSocket::raw(server.address, "/a/b").next_text(), "/a/b/websocket");
}

/// Section 7, clause 11 of the wire contract; and the same for the names that the program knows.
#[test]
fn endpoints_share_nothing() {
    let (told, heard) = mpsc::channel::<SessionId>();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let tell = told.clone();
        server
            .mount("/a", move |session: &mut Session<'_>, _: &str| {
                tell.send(session.id()).expect("the test is waiting");
                session.broadcast("from a");
            })
            .expect("mount");
        let options = EndpointOptions::default();
        server
            .mount_with("/a/b", options, move |session: &mut Session<'_>, _: &str| {
                let stranger = heard.recv_timeout(PATIENCE).expect("a session of the other endpoint");
                let mut endpoint = session.endpoint();
                assert_eq!(endpoint.send(stranger, "hello"), Err(SendError::Gone));
                assert_eq!(endpoint.send_binary(stranger, b"hello"), Err(SendError::Gone));
                assert!(!endpoint.close(stranger, 3000, "Go away!"));
                assert_eq!(endpoint.sessions().len(), 1);
                assert_eq!(endpoint.session_count(), 1);
                assert_eq!(endpoint.broadcast("from b"), 1);
            })
            .expect("mount");
    });
    let mut in_a = WebSocket::raw(server.address, "/a");
    let mut in_b = WebSocket::raw(server.address, "/a/b");
    assert_eq!(in_a.text("x").next_text(), "from a");
    assert_eq!(in_b.text("x").next_text(), "from b");
    in_a.leave();

    let mut polling = Polling::open(server.address, "/a", "same");
    let stranger = polling.client.ask("POST", "/a/b/000/same/xhr_send", "", br#"["x"]"#);
    assert_eq!(stranger.status, 404);
}

/// Lets in who has the cookie, and notes what it was asked.
struct Doorkeeper {
    asked: mpsc::Sender<String>,
    opened: Arc<AtomicUsize>,
}

impl Handler for Doorkeeper {
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        let peer = request.peer().expect("TCP has addresses");
        assert!(peer.ip().is_loopback());
        let transport = request.transport().expect("a transport asks").name();
        let badge = request.query_parameter("badge").unwrap_or("none".into());
        let agent = request.header("user-agent").unwrap_or("none");
        let text = format!("{} {transport} badge={badge} agent={agent}", request.method());
        self.asked.send(text).expect("the test is waiting");
        match request.cookie("status").and_then(|status| status.parse().ok()) {
            Some(status) => Err(Refusal::status(status)),
            None => Ok(()),
        }
    }

    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        self.opened.fetch_add(1, Ordering::SeqCst);
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

#[test]
fn admission_runs_for_every_transport_before_there_is_a_session() {
    let (asked, heard) = mpsc::channel();
    let opened = Arc::new(AtomicUsize::new(0));
    let doorkeeper = Doorkeeper { asked, opened: Arc::clone(&opened) };
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/door", doorkeeper).expect("mount");
    });
    for transport in Transport::ALL {
        let (method, path, upgrade) = match transport {
            Transport::WebSocket => ("GET", "/door/0/s/websocket?", true),
            Transport::RawWebSocket => ("GET", "/door/websocket?", true),
            Transport::XhrPolling => ("POST", "/door/0/s/xhr?", false),
            Transport::XhrStreaming => ("POST", "/door/0/s/xhr_streaming?", false),
            Transport::EventSource => ("GET", "/door/0/s/eventsource?", false),
            Transport::HtmlFile => ("GET", "/door/0/s/htmlfile?c=f&", false),
            Transport::JsonpPolling => ("GET", "/door/0/s/jsonp?c=f&", false),
            other => panic!("a test of {other:?} is missing"),
        };
        // A status that is none of a refusal becomes 403, and one that needs a header field (RFC 9110 §15.5).
        let statuses = [(403, 403), (402, 402), (503, 503), (200, 403), (999, 403)];
        let invalid = [401, 405, 407, 426].map(|status| (status, 403));
        for (status, expected) in statuses.into_iter().chain(invalid) {
            let target = format!("{path}badge=7");
            let headers = format!("Cookie: a=b; status={status}\r\nUser-Agent: test\r\n");
            let mut client = Client::connect(server.address);
            match upgrade {
                true => client.send(handshake(&target, &headers)),
                false => client.request(method, &target, &headers, b""),
            };
            let answer = client.read_head();
            assert_eq!(answer.status, expected, "{transport:?}");
            let asked = heard.recv_timeout(PATIENCE).expect("it was asked");
            assert_eq!(asked, format!("{method} {} badge=7 agent=test", transport.name()));
        }
    }
    let counters = server.counters();
    assert_eq!((counters.opened, counters.sessions), (0, 0));
    assert_eq!(opened.load(Ordering::SeqCst), 0);

    // Asked once for a session, not once for a request.
    let mut polling = Polling::open(server.address, "/door", "in");
    assert_eq!(polling.send("[]"), 204);
    assert_eq!(heard.try_iter().count(), 1);
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}

/// Has the parameter `token`, and says it.
struct Bearer;

impl Handler<Option<String>> for Bearer {
    fn admit(&mut self, request: &Request<'_>) -> Result<Option<String>, Refusal> {
        Ok(request.query_parameter("token").map(|token| token.into_owned()))
    }

    fn on_open(&mut self, session: &mut Session<'_, Option<String>>, request: &Request<'_>) {
        let (token, mut session) = session.split();
        session.send(token.as_deref().unwrap_or("(none)")).expect("a session that opens has room");
        session.send(request.query().unwrap_or("(none)")).expect("a session that opens has room");
    }

    fn on_message(&mut self, _: &mut Session<'_, Option<String>>, _: &str) {}
}

/// Base64 has all that is special in a query.
#[test]
fn a_query_parameter_is_what_the_page_encoded() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/e", Bearer).expect("mount");
    });
    let table = [
        ("token=q83vEjRW%2B%2F8%3D", "q83vEjRW+/8="),
        ("token=q83vEjRW%2B/8=", "q83vEjRW+/8="),
        ("a=b&token=%C3%A9t%C3%A9", "été"),
        ("token=two+words", "two words"),
        ("token=", ""),
        ("token=%FF", "(none)"),
        ("t=1", "(none)"),
    ];
    for (query, token) in table {
        let (mut socket, _) = WebSocket::upgrade(server.address, &format!("/e/websocket?{query}"), "");
        assert_eq!((socket.next_text(), socket.next_text()), (token.to_owned(), query.to_owned()));
        let mut client = Client::connect(server.address);
        let target = format!("/e/000/{}/xhr?{query}", query.len());
        assert_eq!(client.ask("POST", &target, "", b"").text(), "o\n");
        let frame = format!("a[\"{token}\",\"{query}\"]\n");
        assert_eq!(client.ask("POST", &target, "", b"").text(), frame);
    }
}

/// Section 2 of the wire contract: an allow-list of origins, on WebSocket too.
#[test]
fn origins_can_be_listed() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.origins = vec!["https://example.org".to_owned()];
        server.mount_with("/listed", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let foreign = "Origin: https://example.com\r\n";
    let mut client = Client::connect(server.address);
    assert_eq!(client.send(handshake("/listed/websocket", foreign)).read_head().status, 403);
    let mut client = Client::connect(server.address);
    let refusal = client.ask("POST", "/listed/0/s/xhr", foreign, b"");
    assert_eq!((refusal.status, refusal.header("Access-Control-Allow-Origin")), (403, None));
    let known = "Origin: https://example.org\r\n";
    let (mut socket, _) = WebSocket::upgrade(server.address, "/listed/0/s/websocket", known);
    assert_eq!(socket.next(), Frame::Text("o".into()));
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/listed/0/s/xhr", known, b"").text(), "o\n");
}
