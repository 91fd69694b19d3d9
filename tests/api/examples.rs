//! Each example as a child process on a port of its own, put to use.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::client::Client;
use crate::support::sockjs::SockJs;
use crate::support::websocket::WebSocket;

/// After so many ticks of the game a test gives up.
const TICKS: usize = 1_000;

/// A running example. It ends with the test.
struct Example {
    child: Child,
    address: SocketAddr,
    /// What it printed when it was ready.
    line: String,
}

impl Example {
    fn start(name: &str) -> Self {
        let mut child = Command::new(binary(name))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; `cargo build --examples` makes it"));
        let mut line = String::new();
        let output = child.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line when it is ready");
        let address = line.strip_prefix("Listening on http://").and_then(|rest| rest.split('/').next());
        let address = address.and_then(|address| address.parse().ok());
        Self { child, address: address.unwrap_or_else(|| panic!("{name} said {line:?}")), line }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo puts examples beside the directory of the test executables.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps/api");
    target.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

#[test]
fn echo() {
    let example = Example::start("echo");
    let mut polling = SockJs::polling(example.address, "/echo", "a");
    assert_eq!(polling.send_json(r#"["hello","again"]"#), 204);
    assert_eq!(polling.frame(), r#"a["hello","again"]"#);
    let mut socket = WebSocket::sockjs(example.address, "/echo");
    assert_eq!(socket.send(r#"["hello"]"#).text(), r#"a["hello"]"#);
    socket.leave();
}

#[test]
fn chat() {
    let example = Example::start("chat");
    let page = Client::connect(example.address).ask("GET", "/", "", b"");
    assert_eq!((page.status, page.header("Content-Type")), (200, Some("text/html; charset=UTF-8")));
    assert!(page.text().contains("new SockJS(\"/chat\")"));

    let mut first = WebSocket::raw(example.address, "/chat");
    assert_eq!(first.text(), "you are guest 1, 1 here");
    let mut second = WebSocket::raw(example.address, "/chat");
    assert_eq!(second.text(), "you are guest 2, 2 here");
    assert_eq!(first.text(), "guest 2 joined");
    second.send("good morning");
    assert_eq!(first.text(), "guest 2: good morning");
    assert_eq!(second.text(), "guest 2: good morning");
    second.leave();
    assert_eq!(first.text(), "guest 2 left");
    first.leave();
}

#[test]
fn game_loop() {
    let example = Example::start("game_loop");
    let mut first = WebSocket::raw(example.address, "/game");
    // The state comes by itself, tick by tick.
    let state = first.text();
    let (me, place) = state.split_once(" at ").unwrap_or_else(|| panic!("{state}"));
    assert_eq!(place, "0");
    first.send("left");
    let mut second = WebSocket::raw(example.address, "/game");
    let has_moved = |state: &str| {
        let mine = state.split(", ").find_map(|player| player.strip_prefix(&format!("{me} at ")));
        mine.and_then(|place| place.parse::<i64>().ok()).is_some_and(|place| place < -3)
    };
    let is_for_two = |state: &str| state.contains(", ");
    let mut seen_by_second = std::iter::repeat_with(|| second.text()).take(TICKS);
    assert!(seen_by_second.any(|state| is_for_two(&state) && has_moved(&state)));
    drop(second);
    let mut seen_by_first = std::iter::repeat_with(|| first.text()).take(TICKS);
    assert!(seen_by_first.any(|state| is_for_two(&state)));
    assert!(seen_by_first.any(|state| !is_for_two(&state)), "a player who left stays");
}

#[test]
#[cfg(unix)]
fn foreign_poll() {
    let example = Example::start("foreign_poll");
    let (_, sensors) = example.line.trim_end().rsplit_once(' ').expect("the address for datagrams");
    let sensor = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sensor.connect(sensors).expect("the address of the sensors");
    let mut socket = WebSocket::raw(example.address, "/news");
    let mut polling = SockJs::polling(example.address, "/news", "a");
    for text in ["21.5 degrees", "22 degrees"] {
        sensor.send(text.as_bytes()).expect("send");
        assert_eq!(socket.text(), text);
        assert_eq!(polling.frame(), format!("a[\"{text}\"]"));
    }
}

#[test]
fn threads() {
    let example = Example::start("threads");
    let mut socket = WebSocket::raw(example.address, "/factors");
    let questions = ["12", "97", "1000000007", "hello", "1"];
    for question in questions {
        socket.send(question);
    }
    // The workers do not wait for each other.
    let mut answers: Vec<_> = questions.iter().map(|_| socket.text()).collect();
    answers.sort();
    let expected = ["1000000007: 1000000007", "12: 2 x 2 x 3", "1: 1", "97: 97", "hello is not a number"];
    assert_eq!(answers, expected);
    socket.leave();
}

#[test]
fn http_and_sockjs() {
    let example = Example::start("http_and_sockjs");
    let mut client = Client::connect(example.address);
    assert!(client.ask("GET", "/", "", b"").text().contains("new SockJS"));
    assert_eq!(client.ask("GET", "/health", "", b"").text(), "ok\n");
    assert_eq!(client.ask("POST", "/health", "", b"").header("Allow"), Some("GET, HEAD"));
    assert_eq!(client.ask("GET", "/elsewhere", "", b"").status, 404);

    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").status, 403);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr?token=wrong", "", b"").status, 403);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr?token=open-sesame", "", b"").text(), "o\n");
    assert_eq!(client.ask("POST", "/echo/000/s/xhr_send", "", br#"["hello"]"#).status, 204);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "a[\"hello\"]\n");

    let counters = client.ask("GET", "/counters", "", b"");
    for line in [
        "sockjs_sessions 1",
        "sockjs_sessions_opened_total 1",
        "sockjs_messages_in_total 1",
        "sockjs_refused_total 2",
    ] {
        assert!(counters.text().lines().any(|it| it == line), "{line} in {}", counters.text());
    }
}

#[test]
fn rooms() {
    let example = Example::start("rooms");
    let mut guests: Vec<_> = (0..4).map(|_| WebSocket::raw(example.address, "/rooms")).collect();
    for (number, guest) in (1..).zip(&mut guests) {
        assert_eq!(guest.text(), format!("you are guest-{number}"));
    }
    let [host, player, spectator, outside] = guests.as_mut_slice() else { unreachable!("there are four") };
    assert_eq!(host.send("play chess").text(), "guest-1 plays");
    for guest in [&mut *player, &mut *spectator, &mut *outside] {
        assert_eq!(guest.text(), "table chess opens");
    }
    assert_eq!(player.send("play chess").text(), "guest-2 plays");
    assert_eq!(spectator.send("play chess").text(), "table chess is full: watch chess");
    assert_eq!(spectator.send("watch chess").text(), "guest-3 watches");
    for text in ["guest-2 plays", "guest-3 watches"] {
        assert_eq!(host.text(), text);
    }
    assert_eq!(player.text(), "guest-3 watches");

    host.send("e4");
    for guest in [&mut *host, &mut *player, &mut *spectator] {
        assert_eq!(guest.text(), "guest-1: e4");
    }
    assert_eq!(outside.send("who plays?").text(), "guest-4: who plays?");
    assert_eq!(player.send("kick guest-3").text(), "only the host may kick");
    assert_eq!(host.send("kick guest-4").text(), "guest-4 is not here");
    host.send("kick guest-3");
    for guest in [&mut *host, &mut *player, &mut *spectator] {
        assert_eq!(guest.text(), "guest-3 was kicked");
    }
    spectator.send("why?");
    for guest in [&mut *spectator, &mut *outside] {
        assert_eq!(guest.text(), "guest-3: why?");
    }

    assert_eq!(player.send("leave").send("leave").text(), "you are in the lobby");
    assert_eq!(host.text(), "guest-2 left");
    guests.remove(0).leave();
    for guest in &mut guests {
        assert_eq!(guest.text(), "table chess closes");
    }
}
