//! Refused admission: a status, a response, or a close that the page hears after one attempt;
//! and the handler hears nothing.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use sockjs_server::{
    Close, EndpointOptions, Event, Handler, Refusal, Request, Response, ServerOptions, Session, Transport,
};

use crate::support::client::{Answer, Client};
use crate::support::frames::handshake;
use crate::support::sockjs::SockJs;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, TestServer};

/// How every request is refused, or that it is not.
type Refuse = fn() -> Option<Refusal>;

/// Treats all requests alike, and notes what it hears of sessions.
struct Strict {
    refuse: Refuse,
    heard: Sender<&'static str>,
}

impl Handler for Strict {
    fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
        (self.refuse)().map_or(Ok(()), Err)
    }

    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        self.heard.send("open").expect("the test is waiting");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {
        self.heard.send("message").expect("the test is waiting");
    }

    fn on_close(&mut self, _: &mut Session<'_>, _: &Close) {
        self.heard.send("close").expect("the test is waiting");
    }
}

/// A server at `/e`, what its handler hears, and with which codes the observer hears of refusals.
fn refusing(options: EndpointOptions, refuse: Refuse) -> (TestServer, Receiver<&'static str>, Receiver<u16>) {
    let (heard, hears) = mpsc::channel();
    let (refused, refusals) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount_with("/e", options, Strict { refuse, heard }).expect("mount");
        server.observe(move |event| match event {
            Event::Refused { peer, status } => {
                assert!(peer.is_some_and(|peer| peer.ip().is_loopback()));
                refused.send(*status).expect("the test is waiting");
            }
            Event::Opened { .. } | Event::Closed { .. } => panic!("nothing opens here: {event:?}"),
            _ => {}
        });
    });
    (server, hears, refusals)
}

/// Method and target of a transport's first request; the WebSockets begin with a handshake.
fn target(transport: Transport, session: &str) -> (&'static str, String) {
    let (method, path) = match transport {
        Transport::RawWebSocket => return ("GET", "/e/websocket".to_owned()),
        Transport::WebSocket => ("GET", "websocket"),
        Transport::XhrPolling => ("POST", "xhr"),
        Transport::XhrStreaming => ("POST", "xhr_streaming"),
        Transport::EventSource => ("GET", "eventsource"),
        Transport::HtmlFile => ("GET", "htmlfile?c=f"),
        Transport::JsonpPolling => ("GET", "jsonp?c=f"),
        other => panic!("a test of {other:?} is missing"),
    };
    (method, format!("/e/000/{session}/{path}"))
}

/// The answer to a transport's first request.
fn ask(server: &TestServer, transport: Transport, headers: &str) -> Answer {
    let (method, target) = target(transport, "s");
    let mut client = Client::connect(server.address);
    if !matches!(transport, Transport::WebSocket | Transport::RawWebSocket) {
        return client.ask(method, &target, headers, b"");
    }
    let mut answer = client.send(handshake(&target, headers)).head();
    client.body(&mut answer);
    client.expect_end();
    answer
}

/// What the program says, and what the client gets of it.
#[test]
fn a_response_is_answered_on_every_transport() {
    type Case = (Refuse, u16, &'static [(&'static str, Option<&'static str>)], &'static str);
    const CASES: [Case; 8] = [
        (
            || {
                Some(Refusal::response(
                    Response::new(401).header("WWW-Authenticate", "Bearer").body("log in"),
                ))
            },
            401,
            &[("WWW-Authenticate", Some("Bearer")), ("Content-Length", Some("6")), ("Content-Type", None)],
            "log in",
        ),
        (
            || {
                let response = Response::new(429).header("Retry-After", "30").header("Content-Type", "a/b");
                Some(Refusal::response(response))
            },
            429,
            &[("Retry-After", Some("30")), ("Content-Type", Some("a/b")), ("Content-Length", Some("0"))],
            "",
        ),
        // Without the field that they must have, and with a status that refuses nothing.
        (|| Some(Refusal::response(Response::new(401).body("x"))), 403, &[("WWW-Authenticate", None)], "x"),
        (
            || Some(Refusal::response(Response::new(426).header("Upgrade", "h2c"))),
            403,
            &[("Upgrade", None)],
            "",
        ),
        (|| Some(Refusal::response(Response::new(200).body("fine"))), 403, &[], "fine"),
        (|| Some(Refusal::response(Response::new(302).header("Location", "/"))), 403, &[], ""),
        (|| Some(Refusal::response(Response::new(206))), 403, &[], ""),
        // How it is framed is the server's.
        (
            || {
                let response = Response::new(503).header("Content-Length", "7").header("Date", "today");
                Some(Refusal::response(response.header("X-Own", "a\r\nb: c").body("later")))
            },
            503,
            &[("Content-Length", Some("5")), ("X-Own", Some("ab: c"))],
            "later",
        ),
    ];
    for (refuse, status, headers, body) in CASES {
        let (server, hears, refusals) = refusing(EndpointOptions::default(), refuse);
        for transport in Transport::ALL {
            let answer = ask(&server, transport, "");
            assert_eq!((answer.status, answer.text()), (status, body), "{transport:?}");
            for (name, value) in headers {
                assert_eq!(answer.header(name), *value, "{transport:?}: {}", answer.head);
            }
            assert_eq!(refusals.recv_timeout(PATIENCE), Ok(status), "{transport:?}");
        }
        let counters = server.counters();
        assert_eq!((counters.opened, counters.closed, counters.sessions), (0, 0, 0));
        assert_eq!(counters.refused.not_admitted, Transport::ALL.len() as u64);
        assert_eq!(counters.refused.total(), counters.refused.not_admitted);
        assert_eq!(hears.try_iter().count(), 0);
    }
}

/// A page of another origin may read it as any other answer of the path; two fields of one matter are never sent.
#[test]
fn a_response_has_the_fields_of_the_endpoint() {
    let (server, _hears, _refusals) = refusing(EndpointOptions::default(), || {
        let response = Response::new(429)
            .header("Cache-Control", "public")
            .header("access-control-allow-origin", "https://evil.example")
            .header("Access-Control-Expose-Headers", "Retry-After")
            .header("Retry-After", "30");
        Some(Refusal::response(response))
    });
    let answer = ask(&server, Transport::XhrStreaming, "Origin: https://example.org\r\n");
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://example.org"));
    assert_eq!(answer.header("Access-Control-Allow-Credentials"), Some("true"));
    assert_eq!(answer.header("Access-Control-Expose-Headers"), Some("Retry-After"));
    assert!(answer.header("Cache-Control").is_some_and(|value| value.starts_with("no-store, ")));
    // Where the endpoint says nothing of it, the program may.
    let answer = ask(&server, Transport::RawWebSocket, "");
    assert_eq!(answer.header("Cache-Control"), Some("public"));
    let answer = ask(&server, Transport::JsonpPolling, "");
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://evil.example"));
}

/// One frame as its transport carries it over HTTP.
fn framed(transport: Transport, frame: &str) -> String {
    let quoted = frame.replace('"', "\\\"");
    match transport {
        Transport::XhrPolling | Transport::XhrStreaming => format!("{frame}\n"),
        Transport::EventSource => format!("data: {frame}\r\n\r\n"),
        Transport::HtmlFile => format!("<script>\np(\"{quoted}\");\n</script>\r\n"),
        Transport::JsonpPolling => format!("/**/f(\"{quoted}\");\r\n"),
        other => panic!("{other:?} is not carried by responses"),
    }
}

const REFUSED: Refuse = || Some(Refusal::close(4001, "no token"));

/// As every session of the transport closes: behind the open frame, with what a later receiver gets too.
#[test]
fn a_close_reaches_the_client_on_every_transport() {
    let frame = r#"c[4001,"no token"]"#;
    let options = || {
        let mut options = EndpointOptions::default();
        options.disconnect_delay = Duration::from_millis(200);
        options
    };
    for transport in Transport::ALL {
        let (server, hears, refusals) = refusing(options(), REFUSED);
        let (method, target) = target(transport, "s");
        match transport {
            Transport::RawWebSocket => {
                WebSocket::raw(server.address, "/e").expect_close(4001, "no token");
            }
            Transport::WebSocket => {
                let mut socket = WebSocket::sockjs(server.address, "/e");
                assert_eq!(socket.next(), Frame::Text(frame.to_owned()));
                socket.expect_close(1000, "Normal closure");
            }
            Transport::XhrStreaming | Transport::EventSource | Transport::HtmlFile => {
                let mut client = Client::connect(server.address);
                client.request(method, &target, "", b"");
                assert_eq!(client.head().status, 200);
                let chunks: Vec<_> = std::iter::from_fn(|| client.chunk()).skip(1).collect();
                let expected = ["o", frame].map(|frame| framed(transport, frame).into_bytes());
                assert_eq!(chunks, expected, "{transport:?}");
                // The connection goes on, and the session says again how it ended.
                let again = client.ask("POST", "/e/000/s/xhr", "", b"");
                assert_eq!(again.text(), framed(Transport::XhrPolling, frame));
            }
            Transport::XhrPolling | Transport::JsonpPolling => {
                let mut client = Client::connect(server.address);
                for expected in ["o", frame, frame] {
                    let answer = client.ask(method, &target, "", b"");
                    assert_eq!(answer.text(), framed(transport, expected), "{transport:?}");
                }
                // What the client sends meanwhile is dropped, as with every closed session.
                assert_eq!(client.ask("POST", "/e/000/s/xhr_send", "", br#"["x"]"#).status, 204);
            }
            other => panic!("a test of {other:?} is missing"),
        }
        assert_eq!(refusals.recv_timeout(PATIENCE), Ok(4001), "{transport:?}");
        let counters = server.wait_for("the session to be gone", |counters| counters.sessions == 0);
        assert_eq!((counters.opened, counters.closed, counters.messages_in), (0, 0, 0), "{transport:?}");
        assert_eq!(counters.refused.not_admitted, 1);
        assert_eq!(counters.refused.total(), 1);
        server.wait_until_empty("a refused session");
        assert_eq!(hears.try_iter().count(), 0);
        assert_eq!(refusals.try_iter().count(), 0, "asked once for a session");
    }
}

/// A code that must not be on the wire goes out as `Session::close` sends it.
#[test]
fn a_close_has_a_code_that_may_be_sent() {
    let table: [(Refuse, u16, &str); 5] = [
        (|| Some(Refusal::close(1005, "none")), 1000, "none"),
        (|| Some(Refusal::close(0, "")), 1000, ""),
        (|| Some(Refusal::close(5000, "beyond")), 1000, "beyond"),
        (|| Some(Refusal::close(1008, "policy")), 1008, "policy"),
        (|| Some(Refusal::close(4999, "own")), 4999, "own"),
    ];
    for (refuse, code, reason) in table {
        let (server, _hears, _refusals) = refusing(EndpointOptions::default(), refuse);
        WebSocket::raw(server.address, "/e").expect_close(code, reason);
    }
    let (server, _hears, _refusals) =
        refusing(EndpointOptions::default(), || Some(Refusal::close(4000, &"é".repeat(100))));
    WebSocket::raw(server.address, "/e").expect_close(4000, &"é".repeat(61));
}

/// It is a session like any other to the limit and to the shutdown.
#[test]
fn a_session_that_was_closed_by_its_refusal_counts_until_it_is_forgotten() {
    let mut options = EndpointOptions::default();
    options.sessions = 1;
    options.disconnect_delay = Duration::from_millis(200);
    let (server, _hears, refusals) = refusing(options, REFUSED);
    let mut polling = SockJs::polling(server.address, "/e", "one");
    let mut other = Client::connect(server.address);
    let mut answer = other.ask("POST", "/e/000/two/xhr", "", b"");
    assert_eq!(answer.status, 503);
    assert_eq!(polling.frame(), r#"c[4001,"no token"]"#);
    server.wait_for("the session to be forgotten", |counters| counters.sessions == 0);
    answer = other.ask("POST", "/e/000/two/xhr", "", b"");
    assert_eq!((answer.status, answer.text()), (200, "o\n"));
    assert_eq!(refusals.try_iter().collect::<Vec<_>>(), [4001, 503, 4001]);
    let report = server.stop();
    assert_eq!((report.sessions_cut, report.connections_cut), (0, 0));
}

/// Only `()` can be made of nothing. Where another type has no size either, that shows when a client comes.
#[test]
fn a_handler_with_a_state_of_another_type_than_the_unit_admits_nothing_by_default() {
    struct Marker;
    struct Forgetful;
    impl Handler<Marker> for Forgetful {
        fn on_message(&mut self, _: &mut Session<'_, Marker>, _: &str) {}
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/e", Forgetful).expect("mount");
    });
    for transport in Transport::ALL {
        assert_eq!(ask(&server, transport, "").status, 500, "{transport:?}");
    }
}

/// No callback of another session finds it.
#[test]
fn a_refused_session_is_no_session_of_the_endpoint() {
    struct Once(bool);
    impl Handler for Once {
        fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
            match std::mem::replace(&mut self.0, false) {
                true => Err(Refusal::close(4001, "no token")),
                false => Ok(()),
            }
        }
        fn on_message(&mut self, session: &mut Session<'_>, _: &str) {
            let own = session.id();
            let mut endpoint = session.endpoint();
            assert_eq!((endpoint.sessions(), endpoint.session_count()), (vec![own], 1));
            assert_eq!(endpoint.broadcast("all"), 1);
        }
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/e", Once(true)).expect("mount");
    });
    let mut refused = SockJs::polling(server.address, "/e", "refused");
    assert_eq!(WebSocket::raw(server.address, "/e").send("x").text(), "all");
    assert_eq!(refused.frame(), r#"c[4001,"no token"]"#);
}
