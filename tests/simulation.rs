//! The simulated server, through the public API alone: every transport, time, failing
//! links, and the same bytes each time.

use std::sync::mpsc;
use std::time::Duration;

use sockjs_server::simulation::{ClientId, Connect, Simulation};
use sockjs_server::{
    Cause, Close, EndpointOptions, Event, Handler, Overflow, Refusal, Report, Request, Response,
    ServerOptions, Session, Transport,
};

/// Joins each session to a group, and says what it is asked to.
#[derive(Default)]
struct Host {
    closes: Vec<(u16, Cause)>,
    skipped: u64,
}

impl Handler for Host {
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        match request.query_parameter("token").as_deref() {
            Some("stolen") => Err(Refusal::status(403)),
            Some("old") => Err(Refusal::close(4001, "token expired")),
            _ => Ok(()),
        }
    }

    fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
        session.join("all").expect("one group");
        if let Some(client) = request.client() {
            let name = request.header("x-name").unwrap_or_default();
            session.send(format!("{name} from {client}")).expect("room");
        }
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        match text {
            "close" => session.close(3001, "as you wish"),
            "end" => session.terminate(),
            "panic" => panic!("as a test has asked for"),
            "all" => _ = session.publish("all", "to all"),
            "timer" => session.set_timer(1, Duration::from_millis(1500)),
            _ => session.send(text).expect("room"),
        }
    }

    fn on_binary(&mut self, session: &mut Session<'_>, bytes: &[u8]) {
        session.send_binary(bytes).expect("room");
    }

    fn on_timer(&mut self, session: &mut Session<'_>, timer: u32) {
        session.send(format!("timer {timer}")).expect("room");
    }

    fn on_drain(&mut self, _: &mut Session<'_>, skipped: u64) {
        self.skipped += skipped;
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        self.closes.push((close.code, close.cause));
    }
}

fn host() -> Simulation {
    host_with(EndpointOptions::default())
}

fn host_with(options: EndpointOptions) -> Simulation {
    let mut simulation = Simulation::new(ServerOptions::default()).expect("sound options");
    simulation.mount_with("/host", options, Host::default()).expect("a prefix");
    simulation
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn closed(simulation: &mut Simulation, client: ClientId) -> (u16, String) {
    simulation.client(client).closed().expect("it has closed")
}

fn is_websocket(transport: Transport) -> bool {
    matches!(transport, Transport::WebSocket | Transport::RawWebSocket)
}

#[test]
fn every_transport_echoes() {
    let texts = ["hello", "", "50% <b>\"\\\r\n\0\u{2028}é\u{1f600}</script>", &"long ".repeat(40_000)];
    for transport in Transport::ALL {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        assert!(simulation.client(client).is_open(), "{transport:?}");
        for text in texts {
            simulation.client(client).send(text);
            assert_eq!(simulation.client(client).messages(), [text], "{transport:?}");
        }
        simulation.client(client).send("close");
        assert_eq!(closed(&mut simulation, client), (3001, "as you wish".to_owned()), "{transport:?}");
        simulation.advance(seconds(100));
        let counters = simulation.counters();
        assert_eq!((counters.sessions, counters.connections), (0, 0), "{transport:?}");
    }
}

#[test]
fn frames_and_bytes_are_there_as_they_came() {
    let mut simulation = host();
    let client = simulation.connect(Transport::XhrPolling, "/host");
    assert!(simulation.client(client).bytes().ends_with(b"\r\n\r\no\n"));
    simulation.client(client).send("hello");
    assert_eq!(simulation.client(client).frames(), ["o", r#"a["hello"]"#]);
    let raw = simulation.connect(Transport::RawWebSocket, "/host");
    simulation.client(raw).send_binary(b"\0\xff");
    assert_eq!(simulation.client(raw).binary_messages(), [b"\0\xff"]);
    assert!(simulation.client(raw).bytes().starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
}

#[test]
fn headers_origin_address_and_query_are_the_clients() {
    let mut simulation = host_with(EndpointOptions::default().origins(["https://a.example"]));
    let connect = |transport, origin| {
        let named = Connect::new(transport, "/host").header("X-Name", "alice").origin(origin);
        named.address(([192, 0, 2, 7], 4000))
    };
    for transport in Transport::ALL {
        let client = simulation.connect_with(connect(transport, "https://a.example"));
        assert_eq!(simulation.client(client).messages(), ["alice from 192.0.2.7"], "{transport:?}");
        let foreign = simulation.connect_with(connect(transport, "https://b.example"));
        assert_eq!(closed(&mut simulation, foreign), (2000, "All transports failed".to_owned()));
        assert_eq!(simulation.client(foreign).status(), Some(403));
    }
}

#[test]
fn the_page_sees_the_close_codes_of_the_guide() {
    let said = |code, reason: &str| (code, reason.to_owned());
    for transport in Transport::ALL {
        let mut simulation = host();
        for (token, expected) in
            [("stolen", said(2000, "All transports failed")), ("old", said(4001, "token expired"))]
        {
            let connect = Connect::new(transport, "/host").query(&format!("token={token}"));
            let client = simulation.connect_with(connect);
            assert_eq!(closed(&mut simulation, client), expected, "{transport:?}");
        }
        let ended = match transport {
            Transport::WebSocket | Transport::RawWebSocket => said(1006, ""),
            // Browsers come back for the next stream by themselves.
            Transport::EventSource | Transport::HtmlFile => said(1002, "Session terminated"),
            _ => said(1006, "permanent"),
        };
        for (text, expected) in [("panic", said(3000, "Internal error")), ("end", ended)] {
            let client = simulation.connect(transport, "/host");
            simulation.client(client).send(text);
            assert_eq!(closed(&mut simulation, client), expected, "{transport:?} {text}");
        }
        let client = simulation.connect(transport, "/host");
        simulation.shutdown(1012, "Service restart");
        assert_eq!(closed(&mut simulation, client), said(1012, "Service restart"), "{transport:?}");
        simulation.advance(seconds(10));
        assert!(simulation.report().is_some());
        let late = simulation.connect(transport, "/host");
        assert_eq!(closed(&mut simulation, late), said(1002, "Cannot connect to server"), "{transport:?}");
    }
}

#[test]
fn heartbeats_come_at_their_exact_time() {
    for transport in Transport::ALL.into_iter().filter(|it| *it != Transport::RawWebSocket) {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        simulation.advance(Duration::from_millis(24_999));
        assert_eq!(simulation.client(client).frames(), ["o"], "{transport:?}");
        simulation.advance(Duration::from_millis(1));
        assert_eq!(simulation.client(client).frames(), ["h"], "{transport:?}");
        simulation.advance(seconds(25 * 40));
        let beats = simulation.client(client).frames().into_iter().filter(|frame| frame == "h").count();
        assert!((39..=40).contains(&beats), "{transport:?}: {beats}");
        assert!(simulation.client(client).is_open(), "{transport:?}");
    }
}

#[test]
fn a_session_without_a_receiver_expires_at_its_exact_time() {
    let mut simulation = Simulation::new(ServerOptions::default().slowest_client(1 << 30)).unwrap();
    let host = simulation.mount("/host", Host::default()).unwrap();
    let connect = Connect::new(Transport::XhrPolling, "/host").polling_by_hand();
    let client = simulation.connect_with(connect);
    simulation.advance(Duration::from_millis(4_999));
    assert_eq!(simulation.handler::<Host>(host).unwrap().closes, []);
    simulation.advance(Duration::from_millis(1));
    assert_eq!(simulation.handler::<Host>(host).unwrap().closes, [(1006, Cause::Expired)]);
    simulation.client(client).reopen();
    assert_eq!(closed(&mut simulation, client), (1006, "Server lost session".to_owned()));
}

#[test]
fn a_second_receiver_is_told_so_and_the_first_goes_on() {
    for transport in Transport::ALL.into_iter().filter(|it| !is_websocket(*it)) {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        simulation.client(client).reopen();
        assert_eq!(
            simulation.client(client).frames(),
            ["o", r#"c[2010,"Another connection still open"]"#],
            "{transport:?}"
        );
    }
}

#[test]
fn a_client_whose_link_is_cut_comes_back_and_hears_of_it() {
    for transport in Transport::ALL.into_iter().filter(|it| !is_websocket(*it)) {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        simulation.client(client).cut();
        assert_eq!(simulation.counters().closed, 1, "{transport:?}");
        simulation.client(client).reopen();
        assert_eq!(
            closed(&mut simulation, client),
            (1002, "Connection interrupted".to_owned()),
            "{transport:?}"
        );
    }
    for transport in [Transport::WebSocket, Transport::RawWebSocket] {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        simulation.client(client).cut();
        assert_eq!(closed(&mut simulation, client), (1006, String::new()));
        simulation.client(client).reopen().send("again");
        assert_eq!(simulation.client(client).messages(), ["again"]);
        assert_eq!((simulation.counters().opened, simulation.counters().closed), (2, 1));
    }
}

#[test]
fn a_client_that_vanishes_is_noticed_on_every_transport() {
    for transport in Transport::ALL {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        simulation.client(client).freeze(64 << 10);
        // Contract, rule 7.13; what was written to it allows for a second, at most.
        let bound = if is_websocket(transport) { seconds(36) } else { seconds(57) };
        simulation.advance(bound);
        assert_eq!(simulation.counters().closed, 1, "{transport:?}");
    }
}

#[test]
fn what_overflows_closes_a_session_or_is_skipped() {
    for transport in Transport::ALL {
        for overflow in [Overflow::Close, Overflow::Skip] {
            let mut simulation = Simulation::new(ServerOptions::default()).unwrap();
            let options = EndpointOptions::default().send_queue(1000).overflow(overflow);
            let host = simulation.mount_with("/host", options, Host::default()).unwrap();
            let frozen = simulation.connect(transport, "/host");
            let other = simulation.connect(Transport::WebSocket, "/host");
            simulation.client(frozen).freeze(0);
            for _ in 0..20 {
                simulation.endpoint(host).broadcast(&"x".repeat(400));
                simulation.settle();
            }
            assert_eq!(simulation.client(other).messages().len(), 20);
            simulation.client(frozen).thaw();
            let delivered = simulation.client(frozen).messages().len();
            assert!((1..20).contains(&delivered), "{transport:?}: {delivered}");
            let skipped = simulation.handler::<Host>(host).unwrap().skipped;
            match overflow {
                Overflow::Skip => assert_eq!(delivered as u64 + skipped, 20, "{transport:?}"),
                _ => assert_eq!(
                    closed(&mut simulation, frozen),
                    (1013, "Send queue full".to_owned()),
                    "{transport:?}"
                ),
            }
        }
    }
}

#[test]
fn timers_groups_and_handles_from_one_thread() {
    let mut simulation = Simulation::new(ServerOptions::default()).unwrap();
    let host = simulation.mount("/host", Host::default()).unwrap();
    let clients = Transport::ALL.map(|transport| simulation.connect(transport, "/host"));
    simulation.client(clients[0]).send("timer");
    // A timer is never early, whatever part of a millisecond has passed: one is added.
    simulation.advance(Duration::from_millis(1500));
    assert!(simulation.client(clients[0]).messages().is_empty());
    simulation.advance(Duration::from_millis(1));
    assert_eq!(simulation.client(clients[0]).messages(), ["timer 1"]);
    simulation.client(clients[0]).send("all");
    let handle = simulation.handle();
    handle.broadcast(host, "from a handle").unwrap();
    handle.run(move |context| _ = context.endpoint(host).publish("all", "from a task")).unwrap();
    for client in clients {
        assert_eq!(simulation.client(client).messages(), ["to all", "from a handle", "from a task"]);
    }
    assert_eq!(handle.pending().commands, 0);
    handle.drain(seconds(60), 1012, "Service restart").unwrap();
    simulation.advance(seconds(59));
    assert!(simulation.client(clients[0]).is_open() && simulation.report().is_none());
    simulation.advance(seconds(1));
    assert_eq!(closed(&mut simulation, clients[0]), (1012, "Service restart".to_owned()));
    simulation.advance(seconds(10));
    let report = simulation.report().expect("it has stopped");
    assert_eq!((report.sessions_cut, report.connections_cut), (0, 0));
    assert!(handle.send_to([], "too late").is_err());
}

#[test]
fn a_page_that_closes_and_one_that_ends_its_stream() {
    for transport in Transport::ALL {
        let mut simulation = host();
        let client = simulation.connect(transport, "/host");
        simulation.client(client).close();
        assert_eq!(closed(&mut simulation, client), (1000, "Normal closure".to_owned()));
        assert_eq!(simulation.counters().closed, 1, "{transport:?}");
        let other = simulation.connect(transport, "/host");
        simulation.client(other).end();
        simulation.advance(seconds(31));
        assert_eq!(simulation.counters().closed, 2, "{transport:?}");
    }
}

#[test]
fn pages_raw_bytes_and_events() {
    let mut simulation = host();
    let (told, events) = mpsc::channel();
    simulation.observe(move |event| {
        if let Event::Refused { status, .. } = event {
            let _ = told.send(*status);
        }
    });
    simulation.fallback(|context, _, body| {
        let sessions = context.counters().sessions;
        Response::new(200).body(format!("{sessions} sessions, {} bytes", body.len()))
    });
    let raw = simulation.connect_with(Connect::raw());
    simulation.client(raw).write("POST /page HTTP/1.1\r\nHost: a\r\nContent-Le");
    assert_eq!(simulation.client(raw).bytes(), b"");
    simulation.client(raw).write("ngth: 3\r\n\r\nabc");
    let answer = String::from_utf8(simulation.client(raw).bytes()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n0 sessions, 3 bytes"));
    assert!(answer.contains("Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n"), "{answer}");
    simulation.client(raw).write("no request\r\n\r\n");
    assert_eq!(events.try_iter().collect::<Vec<_>>(), [400]);
    let slow = simulation.connect_with(Connect::raw());
    simulation.client(slow).write("GET");
    simulation.advance(seconds(10));
    assert_eq!(events.try_iter().collect::<Vec<_>>(), [408]);
}

#[test]
fn connections_beyond_the_limit_wait_to_be_accepted() {
    let mut simulation = Simulation::new(ServerOptions::default().connections(1)).unwrap();
    simulation.mount("/host", Host::default()).unwrap();
    let first = simulation.connect(Transport::WebSocket, "/host");
    let second = simulation.connect(Transport::WebSocket, "/host");
    assert!(!simulation.client(second).is_open());
    simulation.client(first).cut();
    assert!(simulation.client(second).is_open());
}

/// As on a server: those that wait in its backlog are taken in before it stops to listen.
#[test]
fn connections_that_wait_when_a_server_stops_to_listen_are_served() {
    let mut simulation = host();
    let mut clients = Vec::new();
    simulation.together(|simulation| {
        clients.push(simulation.connect(Transport::WebSocket, "/host"));
        simulation.stop_listening();
        clients.push(simulation.connect(Transport::WebSocket, "/host"));
    });
    assert_eq!([0, 1].map(|number| simulation.client(clients[number]).is_open()), [true, false]);
    simulation.shutdown(1012, "Service restart");
    assert_eq!(closed(&mut simulation, clients[0]), (1012, "Service restart".to_owned()));
    simulation.advance(seconds(10));
    assert_eq!(simulation.report(), Some(Report::default()));
}

#[test]
fn a_drain_is_taken_back_where_sessions_are_admitted_again() {
    for is_taken_back in [false, true] {
        let mut simulation = host();
        let client = simulation.connect(Transport::WebSocket, "/host");
        simulation.drain(seconds(60), 1012, "Service restart");
        if is_taken_back {
            simulation.refuse_sessions(false);
        }
        simulation.advance(seconds(100));
        assert_eq!(simulation.client(client).is_open(), is_taken_back);
        let other = simulation.connect(Transport::WebSocket, "/host");
        assert_eq!(simulation.client(other).is_open(), is_taken_back);
        assert_eq!(simulation.report().is_none(), is_taken_back);
    }
}

/// An hour and a half with clients of all kinds; returns what each of them has read.
fn play(seed: u64) -> Vec<Vec<u8>> {
    let mut simulation = host();
    simulation.seed(seed);
    let mut clients: Vec<_> =
        Transport::ALL.into_iter().map(|transport| simulation.connect(transport, "/host")).collect();
    let raw = simulation.connect_with(Connect::raw());
    for round in 0..3 {
        simulation.client(raw).write("GET /host/info HTTP/1.1\r\nHost: a\r\n\r\n");
        for client in clients.clone() {
            simulation.client(client).send(&format!("round {round}"));
        }
        simulation.client(clients[round]).send("all");
        simulation.client(clients[round + 3]).freeze(100);
        simulation.advance(seconds(7));
        simulation.client(clients[round + 3]).thaw();
        simulation.client(clients[round]).cut();
        simulation.client(clients[round]).reopen();
        simulation.advance(seconds(1800));
    }
    clients.push(raw);
    clients.into_iter().map(|client| simulation.client(client).bytes()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let first = play(7);
    assert_eq!(first, play(7));
    assert_ne!(first, play(8));
    assert!(first.iter().all(|bytes| !bytes.is_empty()));
}
