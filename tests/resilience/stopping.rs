//! The end of the server (section 12, rule 10).

use std::net::TcpListener;
use std::time::Duration;

use sockjs_server::{Report, ServerOptions};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{CLOSE, FIN, close, close_payload};
use crate::support::recorder::recorder;

#[test]
fn shutting_down_tells_every_transport() {
    let server = TestServer::echo();
    let address = server.address;
    let client = || Client::connect(address);
    let close_frame = "c[1001,\"Server shutdown\"]";
    let goodbye = close_payload(1001, "Server shutdown");

    let mut raw = client();
    raw.upgrade("/echo/websocket");
    let mut socket = client();
    socket.upgrade("/echo/000/w/websocket").expect_text("o");
    let mut polls =
        [("POST", "/echo/000/p/xhr"), ("GET", "/echo/000/j/jsonp?c=f")].map(|(method, target)| {
            let mut poll = client();
            poll.ask(method, target, "", b"");
            poll.request(method, target, "", b"");
            poll
        });
    let streams = [
        ("POST", "/echo/000/x/xhr_streaming", "\no\n".to_owned(), format!("{close_frame}\n")),
        ("GET", "/echo/000/e/eventsource", "data: o\r\n\r\n".into(), format!("data: {close_frame}\r\n\r\n")),
        (
            "GET",
            "/echo/000/h/htmlfile?c=f",
            "p(\"o\");\n</script>\r\n".into(),
            format!("<script>\np({:?});\n</script>\r\n", close_frame),
        ),
    ]
    .map(|(method, target, open, last)| {
        let mut stream = client();
        stream.request(method, target, "", b"");
        stream.take_until(open.as_bytes());
        stream.take_until(b"\r\n");
        (stream, last)
    });
    // Between two polls, on a connection that is kept.
    let mut between = client();
    assert_eq!(between.ask("POST", "/echo/000/b/xhr", "", b"").text(), "o\n");
    let mut idle = client();
    assert_eq!(idle.ask("GET", "/echo", "", b"").status, 200);
    server.wait_for("all polls", |counters| counters.requests == 11);

    let stopping = std::thread::spawn(move || server.stop());
    raw.expect_frame(FIN | CLOSE, &goodbye);
    raw.send(close(1001, ""));
    raw.expect_end();
    socket.expect_text(close_frame);
    socket.expect_frame(FIN | CLOSE, &goodbye);
    socket.send(close(1001, ""));
    socket.expect_end();
    for (poll, body) in
        polls.iter_mut().zip([format!("{close_frame}\n"), format!("/**/f({close_frame:?});\r\n")])
    {
        assert_eq!(poll.answer().text(), body);
    }
    for (mut stream, last) in streams {
        assert_eq!(String::from_utf8(stream.chunk().expect("a chunk")).expect("text"), last);
        assert_eq!(stream.chunk(), None);
    }
    assert_eq!(between.ask("POST", "/echo/000/b/xhr", "", b"").text(), format!("{close_frame}\n"));
    idle.expect_end();
    drop((polls, between, idle));
    assert_eq!(stopping.join().expect("no panic"), Report::default());
    TcpListener::bind(address).expect("the port is free at once");
}

#[test]
fn shutting_down_waits_for_nobody_beyond_its_grace() {
    let (handler, record) = recorder();
    let mut options = ServerOptions::default();
    options.shutdown_grace = Duration::from_millis(50);
    let server = TestServer::start(options, |server| {
        server.mount("/raw", handler).expect("mount");
    });
    // They neither answer nor go.
    let mut raw = Client::connect(server.address);
    raw.upgrade("/raw/websocket");
    let mut half = Client::connect(server.address);
    half.send("POST /raw/000/s/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1");
    server.wait_for("both", |counters| counters.connections == 2 && counters.sessions == 1);
    let report = server.stop();
    assert_eq!(report.connections_cut, 2);
    assert_eq!(record.until_close(), ["open", "close 1001 Shutdown"]);
    record.expect_silence();
}
