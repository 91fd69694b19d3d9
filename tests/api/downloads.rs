//! Bodies of the program's own that are not copied for each client, and bodies that are
//! read as their clients take them.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sockjs_server::{Body, Event, Refusal, Request, Response, Server, ServerOptions, Session};

use crate::support::client::{Answer, Client};
use crate::support::{PATIENCE, TestServer};

/// The byte at this place of every body here.
fn byte_at(place: usize) -> u8 {
    (place % 251) as u8
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(byte_at).collect()
}

/// What became of the readers of a server.
#[derive(Clone, Default)]
struct Tally {
    /// Bytes that were asked for.
    read: Arc<AtomicUsize>,
    alive: Arc<()>,
}

impl Tally {
    fn read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// Readers that were made, and not dropped; one copy is the test's, one the server's.
    fn readers(&self) -> usize {
        Arc::strong_count(&self.alive) - 2
    }
}

/// Gives so many bytes in pieces of at most `most`, and ends as it is told to.
struct Source {
    place: usize,
    length: usize,
    most: usize,
    end: fn() -> io::Result<usize>,
    tally: Tally,
}

impl Read for Source {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = room.len().min(self.length - self.place).min(self.most);
        if count == 0 {
            return (self.end)();
        }
        for byte in &mut room[..count] {
            *byte = byte_at(self.place);
            self.place += 1;
        }
        self.tally.read.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }
}

/// Larger than what a socket takes at once, by far.
const LONG: usize = 24 << 20;

fn answer(request: &Request<'_>, shared: &Arc<[u8]>, tally: &Tally) -> Response {
    static STATIC: [u8; 100_000] = [b's'; 100_000];
    let number = |name| request.query_parameter(name).and_then(|text| text.parse().ok());
    let length = number("length").unwrap_or(0);
    let end: fn() -> io::Result<usize> = match request.query_parameter("end").as_deref() {
        Some("error") => || Err(ErrorKind::PermissionDenied.into()),
        Some("panic") => || panic!("on purpose"),
        Some("claim") => || Ok(1 << 30),
        _ => || Ok(0),
    };
    let most = number("most").unwrap_or(usize::MAX);
    let source = Source { place: 0, length, most, end, tally: tally.clone() };
    let ok = Response::new(number("status").map_or(200, |status| status as u16));
    match request.path() {
        "/static" => ok.body(&STATIC),
        "/shared" => ok.body(Arc::clone(shared)),
        "/owned" => ok.body(pattern(length)),
        "/read" => ok.body(Body::reader(source)),
        "/sized" => ok.body(Body::sized_reader(source, number("announced").unwrap_or(length) as u64)),
        _ => Response::new(404),
    }
}

/// A server with these pages, and whatever else the test mounts.
fn start_with(options: ServerOptions, mount: impl FnOnce(&mut Server)) -> (TestServer, Tally) {
    let tally = Tally::default();
    let for_server = tally.clone();
    let server = TestServer::start(options, |server| {
        let shared: Arc<[u8]> = pattern(4 << 20).into();
        server.mount("/echo", |_: &mut Session<'_>, _: &str| {}).expect("mount");
        server.fallback(move |_, request, _| answer(request, &shared, &for_server));
        mount(server);
    });
    (server, tally)
}

fn start() -> (TestServer, Tally) {
    start_with(ServerOptions::default(), |_| {})
}

fn check(answer: &Answer, length: usize, is_announced: bool) {
    let (announced, coding) = (length.to_string(), "chunked");
    let framing = (answer.header("Content-Length"), answer.header("Transfer-Encoding"));
    assert_eq!(framing, if is_announced { (Some(&*announced), None) } else { (None, Some(coding)) });
}

/// Requests that lie in one packet are answered in order, on a connection that goes on,
/// whatever the bodies are made of.
#[test]
fn every_kind_of_body_in_a_row() {
    let (server, tally) = start();
    let rows = [
        ("/static", 100_000, true),
        ("/shared", 4 << 20, true),
        ("/owned?length=10", 10, true),
        ("/owned?length=1000000", 1_000_000, true),
        ("/read?length=0", 0, false),
        ("/read?length=1", 1, false),
        ("/read?length=1000000", 1_000_000, false),
        ("/read?length=5000&most=7", 5000, false),
        ("/sized?length=0", 0, true),
        ("/sized?length=15360", 15_360, true),
        ("/sized?length=1000000", 1_000_000, true),
        ("/sized?length=5000&most=7", 5000, true),
    ];
    let mut client = Client::connect(server.address);
    let mut wire = Vec::new();
    for (target, ..) in rows {
        for method in ["HEAD", "GET"] {
            wire.extend(client.bytes_of(method, target, "", b""));
        }
    }
    client.send(&wire);
    for (target, length, is_announced) in rows {
        check(&client.answer_to("HEAD"), length, is_announced);
        let answer = client.answer().expect(200);
        check(&answer, length, is_announced);
        let expected = if target == "/static" { vec![b's'; length] } else { pattern(length) };
        assert!(answer.body == expected, "{target}");
    }
    assert_eq!(client.ask("GET", "/else", "", b"").status, 404);
    assert!(client.is_quiet());
    assert_eq!((tally.readers(), server.counters().buffered), (0, 0));
}

/// A reader is dropped unread where there is no body, and a status without content says nothing of one.
#[test]
fn statuses_without_content_read_nothing() {
    let (server, tally) = start();
    let mut client = Client::connect(server.address);
    for target in ["/read?length=9", "/sized?length=9", "/static?", "/shared?"] {
        for (status, length) in [(204, None), (205, Some("0")), (304, None)] {
            let answer = client.ask("GET", &format!("{target}&status={status}"), "", b"");
            assert_eq!((answer.status, answer.header("Content-Length")), (status, length), "{target}");
            assert_eq!((answer.text(), answer.header("Transfer-Encoding")), ("", None));
        }
    }
    assert_eq!((tally.read(), tally.readers()), (0, 0));
}

/// RFC 9112 §6.3: a client of HTTP/1.0 knows no chunks, so that the end of the body is that of the connection.
#[test]
fn a_body_of_unknown_length_ends_the_connection_on_http_10() {
    let (server, _) = start();
    let mut client = Client::connect(server.address);
    client.request_http10("GET", "/sized?length=100000", "Connection: keep-alive\r\n", b"");
    let answer = client.answer().expect_header("Connection", "keep-alive");
    check(&answer, 100_000, true);
    client.request_http10("GET", "/read?length=100000", "Connection: keep-alive\r\n", b"");
    let answer = client.answer().expect_header("Connection", "close");
    assert_eq!((answer.header("Content-Length"), answer.header("Transfer-Encoding")), (None, None));
    assert!(answer.body == pattern(100_000));
    // The head alone says the same.
    let mut client = Client::connect(server.address);
    client.request_http10("HEAD", "/read?length=9", "Connection: keep-alive\r\n", b"");
    client.answer_to("HEAD").expect_header("Connection", "close");
    client.expect_end();
}

fn split_head(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(end);
    Some((std::str::from_utf8(head).expect("a head is text"), body))
}

/// An answer that is not the one that was announced never looks like it.
#[test]
fn a_body_that_goes_wrong_ends_its_connection_alone() {
    let (told, events) = std::sync::mpsc::channel();
    let (server, tally) = start_with(ServerOptions::default(), |server| {
        server.observe(move |event| {
            let what = match event {
                Event::BodyFailed { error, peer } => {
                    assert!(peer.is_some());
                    Some(error.kind())
                }
                Event::Panicked { session: None } => None,
                _ => return,
            };
            told.send(what).expect("the test is waiting");
        });
    });
    let mut neighbour = Client::connect(server.address);
    for (query, kind) in [
        ("end=error", Some(ErrorKind::PermissionDenied)),
        ("end=panic", None),
        ("end=claim", Some(ErrorKind::InvalidData)),
        ("announced=300001", Some(ErrorKind::UnexpectedEof)),
        ("announced=299999", Some(ErrorKind::InvalidData)),
        ("announced=0", Some(ErrorKind::InvalidData)),
    ] {
        let is_announced = query.starts_with("announced");
        for path in ["/read", "/sized"] {
            if path == "/read" && is_announced {
                continue;
            }
            let mut client = Client::connect(server.address);
            // What is pipelined behind it must not be answered in the middle of the body.
            let target = format!("{path}?length=300000&{query}");
            client.send(
                [client.bytes_of("GET", &target, "", b""), client.bytes_of("GET", "/static", "", b"")]
                    .concat(),
            );
            let answer = client.rest();
            // Where the first piece is wrong, not even the head leaves.
            if let Some((head, body)) = split_head(&answer) {
                assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
                match query.strip_prefix("announced=").or((path == "/sized").then_some("300000")) {
                    Some(length) => assert!(body.len() < length.parse().expect("a length"), "{target}"),
                    None => assert!(!body.ends_with(b"0\r\n\r\n"), "{target}"),
                }
                assert!(!body.windows(8).any(|window| window == b"HTTP/1.1"), "{target}");
            }
            assert_eq!(events.recv_timeout(PATIENCE), Ok(kind), "{target}");
            neighbour.ask("GET", "/static", "", b"").expect(200);
        }
    }
    server.wait_for("the ends", |counters| counters.connections == 1 && counters.buffered == 0);
    assert_eq!(tally.readers(), 0);
}

/// A client that takes nothing holds one piece of a body, and its reader is not asked
/// further. When it reads on it gets all.
#[test]
fn a_reader_is_asked_when_its_client_has_taken_what_there_was() {
    let (server, tally) = start();
    let mut client = Client::connect(server.address);
    client.request("GET", &format!("/sized?length={LONG}"), "", b"");
    client.request("GET", "/static", "", b"");
    let stuck = wait_until_stuck(&tally);
    assert!(stuck < LONG / 2, "{stuck} bytes were read, and none of them taken");
    let held = server.counters().buffered;
    assert!((1..32 << 10).contains(&held), "{held} bytes are held");
    let answer = client.answer();
    assert!(answer.body == pattern(LONG));
    client.answer().expect_header("Content-Length", "100000");
    assert_eq!((tally.read(), tally.readers(), server.counters().buffered), (LONG, 0, 0));
}

/// Waits until readers are not asked any more, over many turns of the server; returns how much was read.
fn wait_until_stuck(tally: &Tally) -> usize {
    let (mut before, mut idle) = (0, 0);
    while idle < 50 {
        let now = tally.read();
        idle = if now == before && now > 0 { idle + 1 } else { 0 };
        before = now;
        std::thread::sleep(Duration::from_millis(2));
    }
    before
}

#[test]
fn the_reader_goes_with_its_client() {
    let (server, tally) = start();
    for path in ["/sized", "/read"] {
        let mut client = Client::connect(server.address);
        client.request("GET", &format!("{path}?length={LONG}"), "", b"").head();
        assert_eq!(tally.readers(), 1);
        drop(client);
        server.wait_for("the end", |counters| (counters.connections, counters.buffered) == (0, 0));
        assert_eq!(tally.readers(), 0);
    }
}

/// RFC 9112 §9.6: a client may shut its sending side behind its last request.
#[test]
fn a_client_that_has_nothing_more_to_ask_gets_the_whole_body() {
    let (server, tally) = start();
    for path in ["/sized", "/read"] {
        let mut client = Client::connect(server.address);
        client.request("GET", &format!("{path}?length={LONG}"), "", b"");
        client.hang_up();
        assert!(client.answer().body == pattern(LONG), "{path}");
        client.expect_end();
        assert_eq!(tally.readers(), 0);
    }
}

/// `write_stall` is the wait for a client that takes nothing of a page, as of everything else.
#[test]
fn a_client_that_never_reads_its_download_is_cut_off() {
    let mut options = ServerOptions::default();
    options.write_stall = Duration::from_millis(100);
    options.slowest_client = 1 << 30;
    let (server, tally) = start_with(options, |_| {});
    let mut client = Client::connect(server.address);
    client.request("GET", &format!("/read?length={LONG}"), "", b"");
    server.wait_for("the end", |counters| counters.accepted == 1 && counters.connections == 0);
    assert_eq!((tally.readers(), server.counters().buffered), (0, 0));
    assert!(client.rest().len() < LONG);
}

/// Bytes that several answers need at once are counted once, and static ones not at all.
#[test]
fn shared_bytes_count_once() {
    let (server, _) = start();
    for (target, most) in [("/shared", (4 << 20) + (64 << 10)), ("/static", 64 << 10)] {
        let mut clients: Vec<_> = (0..20).map(|_| Client::connect(server.address)).collect();
        for client in &mut clients {
            // So many that the sockets cannot take them all.
            (0..if target == "/static" { 100 } else { 2 })
                .for_each(|_| _ = client.request("GET", target, "", b""));
        }
        for client in &mut clients {
            client.head().expect(200);
        }
        let held = server.wait_for("all to be asked", |counters| counters.connections == 20).buffered;
        assert!(held <= most, "{target}: {held} bytes are held");
        drop(clients);
        server.wait_for("the end", |counters| (counters.connections, counters.buffered) == (0, 0));
    }
}

/// Where the server has no room for the bytes of a page its client is told so, and may ask again.
#[test]
fn a_page_beyond_the_memory_is_503() {
    let mut options = ServerOptions::default();
    options.buffered_bytes = 1 << 20;
    let (server, _) = start_with(options, |_| {});
    let mut client = Client::connect(server.address);
    for target in ["/shared", "/owned?length=600000"] {
        client.ask("GET", target, "", b"").expect(503).expect_body("Service Unavailable");
    }
    client.ask("GET", "/owned?length=500000", "", b"").expect(200);
    // Its bytes are there in any case, and so are those of a reader.
    client.ask("GET", "/static", "", b"").expect(200);
    client.ask("GET", "/sized?length=5000000", "", b"").expect(200);
    assert_eq!(server.counters().refused.overloaded, 2);
}

/// A server with room for 32 pieces, and more downloads than that whose clients do not read yet.
fn crowded() -> (TestServer, Tally, Vec<Client>) {
    let mut options = ServerOptions::default();
    options.buffered_bytes = 1 << 20;
    options.slowest_client = 1 << 30;
    let (server, tally) = start_with(options, |_| {});
    let mut clients: Vec<_> = (0..36).map(|_| Client::connect(server.address)).collect();
    for client in &mut clients {
        client.request("GET", &format!("/sized?length={LONG}"), "", b"");
    }
    server.wait_for("all to be asked", |counters| counters.requests == 36);
    wait_until_stuck(&tally);
    let held = server.counters().buffered;
    assert!(((450 << 10)..(800 << 10)).contains(&held), "{held} bytes are held");
    (server, tally, clients)
}

/// Each of them gets its next piece when others have given theirs back.
#[test]
fn downloads_wait_for_memory_and_none_is_forgotten() {
    let (server, tally, clients) = crowded();
    std::thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || {
                let answer = client.answer().expect(200);
                assert!(answer.body.len() == LONG && answer.body[LONG - 1] == byte_at(LONG - 1));
            });
        }
    });
    server.wait_for("the end", |counters| (counters.connections, counters.buffered) == (0, 0));
    assert_eq!(tally.readers(), 0);
}

/// Rule 12.13: a client that reads gets its page though others that do not read hold the room of all pages.
#[test]
fn a_download_that_is_read_goes_on_beside_many_that_are_not() {
    let (_server, _, mut clients) = crowded();
    for mut client in clients.split_off(34) {
        assert!(client.answer().body == pattern(LONG));
    }
}

/// The answer to a request for a session may be any response.
#[test]
fn a_refusal_may_have_any_body() {
    struct Closed;
    impl sockjs_server::Handler for Closed {
        fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
            let reader = io::repeat(b'x').take(50_000);
            let body = match request.query() {
                Some("sized") => Body::sized_reader(reader, 50_000),
                _ => Body::reader(reader),
            };
            Err(Refusal::response(Response::new(429).header("Retry-After", "30").body(body)))
        }
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
    }
    let (server, _) = start_with(ServerOptions::default(), |server| {
        server.mount("/closed", Closed).expect("mount");
    });
    let mut client = Client::connect(server.address);
    for (query, is_announced) in [("sized", true), ("", false)] {
        let target = format!("/closed/000/s/xhr?{query}");
        let answer = client.ask("POST", &target, "Origin: http://a\r\n", b"").expect(429);
        check(&answer, 50_000, is_announced);
        assert!(answer.body == [b'x'; 50_000]);
        answer.expect_header("Access-Control-Allow-Origin", "http://a");
    }
    client.ask("GET", "/closed", "", b"").expect(200);
}

/// The server's end does not cut off a client that reads; what is left at the end of the grace period is cut.
#[test]
fn a_download_has_the_time_of_the_shutdown_to_end() {
    let (server, tally) = start();
    let mut reading = Client::connect(server.address);
    reading.request("GET", &format!("/sized?length={LONG}"), "", b"").head();
    server.handle.shutdown();
    assert!(reading.take(LONG) == pattern(LONG));
    reading.expect_end();
    assert_eq!(server.stop(), sockjs_server::Report::default());
    assert_eq!(Arc::strong_count(&tally.alive), 1, "the server and its fallback are gone");

    let mut options = ServerOptions::default();
    options.shutdown_grace = Duration::from_millis(50);
    let (server, tally) = start_with(options, |_| {});
    let mut silent = Client::connect(server.address);
    silent.request("GET", &format!("/sized?length={LONG}"), "", b"").head();
    assert_eq!(server.stop().connections_cut, 1);
    assert_eq!(Arc::strong_count(&tally.alive), 1);
}
