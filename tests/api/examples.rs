//! Each example as a child process on a port of its own, put to use.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::client::Client;
use crate::support::frames::HANDSHAKE;
use crate::support::sockjs::{Event, SockJs};
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
        Self::start_with(name, &[])
    }

    /// With arguments behind the address.
    fn start_with(name: &str, arguments: &[&str]) -> Self {
        Self::spawn(name, Command::new(binary(name)).arg("127.0.0.1:0").args(arguments))
    }

    fn spawn(name: &str, command: &mut Command) -> Self {
        let mut child = command
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
fn chat_test() {
    let output = Command::new(binary("chat_test")).output().expect("`cargo build --examples` makes it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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

/// Without internet, and without a copy of the client library, a page shows a notice and uses WebSocket alone. With a
/// copy it is the example that serves it.
#[test]
fn pages_do_without_the_internet() {
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("client-of-the-examples.js");
    std::fs::write(&library, "window.SockJS = WebSocket;").expect("a file");
    for name in ["chat", "http_and_sockjs", "feed", "auth", "tls"] {
        let url = "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js";
        let ask = |example: &Example, path| Client::connect(example.address).ask("GET", path, "", b"");
        // The page of `tls` is on its other port: tests/tls has the clients for that.
        let is_plain = name != "tls";
        let arguments: &[&str] = if is_plain { &[] } else { &["127.0.0.1:0"] };
        let bare = Example::start_with(name, arguments);
        assert_eq!(ask(&bare, "/sockjs.min.js").status, 404, "{name}");
        let mut command = Command::new(binary(name));
        command.arg("127.0.0.1:0").args(arguments).env("SOCKJS_CLIENT", &library);
        let example = Example::spawn(name, &mut command);
        let script = ask(&example, "/sockjs.min.js");
        assert_eq!(script.header("Content-Type"), Some("text/javascript; charset=UTF-8"), "{name}");
        assert_eq!(script.text(), "window.SockJS = WebSocket;", "{name}");
        for (example, source) in [(&bare, url), (&example, "/sockjs.min.js")].into_iter().filter(|_| is_plain)
        {
            let page = ask(example, "/");
            let page = page.text();
            assert!(page.contains("sockjs-client could not be loaded"), "{name}: {page}");
            assert!(page.contains(&format!("<script src=\"{source}\" async")), "{name}: {page}");
            assert!(page.contains("function start() {") && !page.contains("{{"), "{name}: {page}");
        }
    }
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

    assert_eq!(player.send("leave").text(), "guest-2 left");
    assert_eq!(player.send("leave").text(), "you are in the lobby");
    assert_eq!(player.send("play").text(), "play whom, or where?");
    assert_eq!(host.text(), "guest-2 left");
    guests.remove(0).leave();
    for guest in &mut guests {
        assert_eq!(guest.text(), "table chess closes");
    }
}

/// Logs in, and gives the token.
fn log_in(example: &Example, credentials: &str) -> String {
    let answer = Client::connect(example.address).ask("POST", "/login", "", credentials.as_bytes());
    assert_eq!(answer.status, 200, "{credentials}");
    let cookie = answer.header("Set-Cookie").expect("a cookie");
    assert!(cookie.starts_with(&format!("token={}; HttpOnly; SameSite=Strict", answer.text())));
    answer.text().to_owned()
}

/// A session of the authenticated chat, and the message with which it begins.
fn enter(example: &Example, query: &str, headers: &str) -> (WebSocket, String) {
    let headers = format!("{HANDSHAKE}{headers}");
    let path = format!("/chat/websocket{query}");
    let mut socket = WebSocket::open_on(Client::connect(example.address), &path, &headers);
    let hello = socket.text();
    (socket, hello)
}

#[test]
fn auth() {
    let example = Example::start("auth");
    let page = Client::connect(example.address).ask("GET", "/", "", b"");
    assert!(page.text().contains("new SockJS(`/chat?token="));
    for (wrong, status) in [("ada charles", 403), ("grace grace", 403), ("ada", 400), ("", 400)] {
        let answer = Client::connect(example.address).ask("POST", "/login", "", wrong.as_bytes());
        assert_eq!(answer.status, status, "{wrong:?}");
    }
    let (ada, charles) = (log_in(&example, "ada ada"), log_in(&example, "charles charles"));
    assert_ne!(ada, charles);

    // What the page can read, on a WebSocket and over HTTP.
    let refused = [
        ("", 4001, "Log in first"),
        ("?token=unknown", 4001, "Your login has expired"),
        (&*format!("?token={ada}&after=x"), 4002, "There is no such line"),
        (&*format!("?token={ada}&after=1"), 4002, "There is no such line"),
    ];
    for (number, (query, code, reason)) in refused.into_iter().enumerate() {
        let path = format!("/chat/websocket{query}");
        WebSocket::open_on(Client::connect(example.address), &path, HANDSHAKE).expect_close(code, reason);
        let path = format!("/chat/000/{number}/xhr{query}");
        let mut client = Client::connect(example.address);
        assert_eq!(client.ask("POST", &path, "", b"").text(), "o\n");
        assert_eq!(client.ask("POST", &path, "", b"").text(), format!("c[{code},\"{reason}\"]\n"));
    }
    // A page of another origin is not asked for a token.
    let path = format!("/chat/000/s/xhr?token={ada}");
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(Client::connect(example.address).ask("POST", &path, foreign, b"").status, 403);

    let own = format!("Origin: http://{}\r\n", example.address);
    let (mut first, hello) = enter(&example, &format!("?token={ada}"), &own);
    assert_eq!(hello, "hello ada 0");
    let (mut second, hello) = enter(&example, "", &format!("{own}Cookie: token={charles}\r\n"));
    assert_eq!(hello, "hello charles 0");
    assert_eq!(first.send("1 good morning").text(), "line 1 ada good morning");
    assert_eq!(first.text(), "got 1");
    assert_eq!(second.text(), "line 1 ada good morning");
    // A line that comes twice is heard once.
    assert_eq!(first.send("1 good morning").text(), "got 1");
    second.leave();
    first.send("2 are you there?");
    assert_eq!([first.text(), first.text()], ["line 2 ada are you there?", "got 2"]);

    // The lines that were missed, in one message; and the page says again what may not have arrived.
    let (mut second, hello) = enter(&example, &format!("?token={charles}&after=1"), "");
    assert_eq!(hello, "hello charles 0\nline 2 ada are you there?");
    // The connection is lost, of which the server does not know yet.
    let (mut again, hello) = enter(&example, &format!("?token={ada}&after=2"), "");
    assert_eq!(hello, "hello ada 2");
    first.expect_close(4003, "You have gone on elsewhere");
    again.send("2 are you there?").send("3 still here");
    assert_eq!([again.text(), again.text(), again.text()], ["got 2", "line 3 ada still here", "got 3"]);
    assert_eq!(second.text(), "line 3 ada still here");

    // The backlog has a bound, and the page is told what is forgotten.
    for number in 4..=1_003 {
        again.send(&format!("{number} x"));
        assert_eq!(again.text(), format!("line {number} ada x"));
        assert_eq!(again.text(), format!("got {number}"));
    }
    let (_, hello) = enter(&example, &format!("?token={charles}&after=2"), "");
    let mut lines = hello.lines();
    assert_eq!([lines.next(), lines.next()], [Some("hello charles 0"), Some("gap 3")]);
    assert_eq!((lines.next(), lines.count()), (Some("line 4 ada x"), 999));

    for wrong in ["hello", "x hello", "0 hello", "1005 too early", "1004 two\nlines"] {
        let (mut socket, hello) = enter(&example, &format!("?token={ada}&after=1003"), "");
        assert_eq!(hello, "hello ada 1003");
        let reason =
            if wrong.starts_with("1005") { "A line is missing" } else { "A line is a number and a text" };
        socket.send(wrong);
        socket.expect_close(4002, reason);
    }
}

/// The number of a tick of `ACME`, in a message without a gap.
fn tick(text: &str) -> u64 {
    let number = text.strip_prefix("ACME ").and_then(|rest| rest.split(' ').nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn feed_tells_a_page_of_its_gap() {
    let example = Example::start_with("feed", &["20"]);
    let mut reader = WebSocket::raw(example.address, "/feed");
    assert_eq!(reader.send("watch GOLD").text(), "GOLD has no price");
    assert_eq!(reader.send("hello").text(), "watch SYMBOL, or unwatch SYMBOL");
    let mut away = SockJs::polling(example.address, "/feed", "a");
    away.send(&["watch ACME"]);
    let first = tick(&reader.send("watch ACME").text());
    // 17 bytes each at least, and 64 KiB may wait for the page that does not poll.
    for number in first + 1..=first + 4_000 {
        assert_eq!(tick(&reader.text()), number);
    }

    let mut texts = std::iter::repeat_with(|| match away.next() {
        Event::Message(text) => text,
        closed => panic!("{closed:?}"),
    });
    let mut last = tick(&texts.next().expect("a tick"));
    // More than the queue holds.
    let text = texts.by_ref().take(4_000).find(|text| {
        let is_gap = text.starts_with("gap ");
        assert!(is_gap || tick(text) == last + 1, "{text} behind {last}");
        last += u64::from(!is_gap);
        is_gap
    });
    let text = text.expect("a gap");
    let (gap, quotes) = text.split_once('\n').expect("a gap, and the prices");
    let skipped: u64 = gap.strip_prefix("gap ").and_then(|it| it.parse().ok()).expect("a count");
    assert!(skipped > 0);
    assert_eq!(tick(quotes), last + skipped, "delivered and skipped are what was published");
    assert_eq!(tick(&texts.next().expect("a tick")), last + skipped + 1);
}

#[test]
fn feed_leaves_ticks_out_that_find_the_server_busy() {
    let example = Example::start_with("feed", &["10000"]);
    let mut reader = WebSocket::raw(example.address, "/feed");
    let first = tick(&reader.send("watch ACME").text());
    let mut client = Client::connect(example.address);
    let is_busy = std::iter::repeat_with(|| {
        let answer = client.ask("GET", "/ticks", "", b"");
        !answer.text().lines().any(|line| line == "0 left out")
    });
    assert!(is_busy.take(TICKS).any(|is_busy| is_busy), "ten million ticks a second find no place");
    for number in first + 1..=first + 100 {
        assert_eq!(tick(&reader.text()), number);
    }
}

/// TLS itself is tested in `tests/tls`, with the layer of this example.
#[test]
fn tls() {
    let example = Example::start_with("tls", &["127.0.0.1:0"]);
    let mut plain = Client::connect(example.address);
    let certificate = plain.ask("GET", "/certificate.pem", "", b"");
    assert!(certificate.text().starts_with("-----BEGIN CERTIFICATE-----"), "{certificate:?}");
    assert!(plain.ask("GET", "/", "", b"").text().contains("https://"));
    let secure = example.line.split("https://").nth(1).and_then(|rest| rest.split('/').next());
    let mut client = Client::connect(secure.and_then(|it| it.parse().ok()).expect("an address"));
    // No TLS: an alert, or nothing, and the end.
    client.send("GET / HTTP/1.1\r\n\r\n");
    let answer = client.rest();
    assert!(answer.first().is_none_or(|first| *first == 21), "{}", answer.escape_ascii());
}

/// Types, tags, HEAD; and whatever is asked, nothing outside of the folder is served.
#[cfg(unix)]
#[test]
fn files() {
    use std::fs;
    use std::os::unix::fs::symlink;

    let around = std::env::temp_dir().join(format!("sockjs-server-files-{}", std::process::id()));
    let folder = around.join("folder");
    fs::create_dir_all(folder.join("sub")).expect("a folder");
    let large: Vec<u8> = (0..3_000_000).map(|place| (place % 253) as u8).collect();
    for (name, content) in [
        ("secret.txt", &b"secret"[..]),
        ("folder/index.html", b"<h1>Hello</h1>"),
        ("folder/sub/a b.txt", b"with a space"),
        ("folder/.hidden", b"secret"),
        ("folder/large.bin", &large),
        ("folder/empty.css", b""),
    ] {
        fs::write(around.join(name), content).expect("a file");
    }
    symlink("../secret.txt", folder.join("out.txt")).expect("a link");
    symlink("..", folder.join("up")).expect("a link");
    symlink("index.html", folder.join("in.html")).expect("a link");
    let mut mkfifo = Command::new("mkfifo");
    assert!(mkfifo.arg(folder.join("pipe")).status().is_ok_and(|status| status.success()));

    let example = Example::start_with("files", &[folder.to_str().expect("text")]);
    let mut client = Client::connect(example.address);
    for (path, kind, body) in [
        ("/", "text/html; charset=UTF-8", &b"<h1>Hello</h1>"[..]),
        ("/index.html?query", "text/html; charset=UTF-8", b"<h1>Hello</h1>"),
        ("/in.html", "text/html; charset=UTF-8", b"<h1>Hello</h1>"),
        ("/sub/a%20b.txt", "text/plain; charset=UTF-8", b"with a space"),
        ("/%6carge.bin", "application/octet-stream", &large),
        ("/empty.css", "text/css; charset=UTF-8", b""),
    ] {
        let answer = client.ask("GET", path, "", b"").expect(200);
        assert_eq!(answer.header("Content-Type"), Some(kind), "{path}");
        assert!(answer.body == body, "{path}");
        let etag = answer.header("ETag").expect("a tag").to_owned();
        let head = client.ask("HEAD", path, "", b"").expect(200);
        assert_eq!(head.header("Content-Length"), Some(&*body.len().to_string()));
        for list in [etag.clone(), format!("\"a\", W/{etag}"), "*".to_owned()] {
            let known = client.ask("GET", path, &format!("If-None-Match: {list}\r\n"), b"").expect(304);
            assert_eq!((known.header("ETag"), known.header("Content-Length")), (Some(&*etag), None));
        }
        client.ask("GET", path, "If-None-Match: \"another\"\r\n", b"").expect(200);
    }
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/sub/..%5c..%5csecret.txt",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/out.txt",
        "/up/secret.txt",
        "/up/folder/index.html/",
        "/index.html%00.txt",
        "/.hidden",
        "/./index.html",
        "/pipe",
        "/sub",
        "/sub/",
        "/missing",
        "/%zz",
        "/%",
        "/%ff",
        "/index.html/x",
        "/large.bin/..",
    ] {
        let answer = client.ask("GET", path, "", b"").expect(404);
        assert_eq!(answer.text(), "Not Found\n", "{path}");
    }
    client.ask("POST", "/index.html", "", b"x").expect(405).expect_header("Allow", "GET, HEAD");
    let mut socket = WebSocket::raw(example.address, "/echo");
    assert_eq!(socket.send("still here").text(), "still here");
    drop(example);
    fs::remove_dir_all(around).expect("it is ours");
}
