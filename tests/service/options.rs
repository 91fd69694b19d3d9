//! The options of an operator: each does on the wire what its name says, and one that cannot work is named.

use std::net::TcpListener;

use crate::output;
use crate::support::client::Client;
use crate::support::echo_process::{EchoProcess, command};
use crate::support::websocket::WebSocket;

fn start(arguments: &[&str]) -> EchoProcess {
    EchoProcess::spawn(&mut command(&[&["--listen", "127.0.0.1:0"][..], arguments].concat()))
}

#[test]
fn short_flags_say_what_the_long_ones_say() {
    for (short, long) in [("-h", "--help"), ("-V", "--version")] {
        assert_eq!(output(&[short]), output(&[long]));
        assert_eq!(output(&[short]).0, Some(0));
    }
    let (code, out, _) = output(&["--limits"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("  --pong-timeout TIME\n"), "{out}");
}

#[test]
fn what_is_wrong_with_an_argument_is_said_by_its_flag() {
    for (arguments, reason) in [
        (&["--listen", "127.0.0.1"][..], "--listen 127.0.0.1: the port is missing, as in 127.0.0.1:8081"),
        (&["--heartbeat", "0"], "--heartbeat 0: must be a time"),
        (&["--heartbeat", "35"], "--heartbeat must be between 1 ms and 24 h, and under 35 s while jsonp"),
        (&["--connections=1048577"], "--connections 1048577: must be a number between 1 and 1048576"),
        (&["--origins", "https://a.example/"], "--origins must hold origins as browsers send them"),
        (&["--base-url", "example.org"], "--base-url example.org: must begin with http:// or https://"),
        (&["--base-url", "http://h/?q"], "--base-url must be an absolute URL"),
        (&["--client-url", "a b"], "--client-url must be the URL of sockjs-client"),
        (&["--jsessionid", "SameSite=None"], "--jsessionid must have the attribute Secure"),
        (&["--subprotocols", "a b"], "--subprotocols must hold tokens"),
        (&["--subprotocol-required"], "--subprotocol-required needs --subprotocols"),
        (&["--no-cors=1"], "--no-cors takes no value"),
        (&["--help=1"], "--help takes no value"),
        (&["--origins", "*"], "--origins *: leave it out to admit pages of every origin"),
        (&["--listen="], "--listen needs a value"),
        (&["--transports", ""], "--transports needs a value"),
        (&["--client-js", "/no/such/file"], "--client-js /no/such/file: "),
    ] {
        let (code, out, error) = output(arguments);
        assert_eq!((code, &*out), (Some(2), ""), "{error}");
        assert!(error.starts_with(&format!("sockjs-echo: {reason}")), "{error}");
    }
}

#[test]
fn an_address_that_is_taken_is_told_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let (code, _, error) = output(&["--listen", &address]);
    assert_eq!(code, Some(1));
    assert!(error.starts_with(&format!("sockjs-echo: --listen {address}: ")), "{error}");
    assert!(error.contains("--listen 127.0.0.1:0 takes any free port"), "{error}");
}

#[test]
fn endpoints_are_as_the_options_say() {
    let echo = start(&[
        "--transports=xhr-polling,xhr-streaming,websocket-raw",
        "--heartbeat=20ms",
        "--message-limit=8",
        "--response-limit=2",
        "--sessions=1",
        "--base-url=https://node.example",
        "--jsessionid=Secure",
        "--client-url=/a&b.js",
        "--subprotocols=chat,news",
    ]);
    let ask =
        |method: &str, path: &str, body: &[u8]| Client::connect(echo.address()).ask(method, path, "", body);
    let info = ask("GET", "/echo/info", b"").text().to_owned();
    assert!(info.contains(r#""websocket":false"#), "{info}");
    assert!(info.contains(r#""base_url":"https://node.example/echo""#), "{info}");
    assert_eq!(ask("GET", "/echo/0/s/eventsource", b"").status, 404);
    assert!(ask("GET", "/echo/iframe.html", b"").text().contains(r#"src="/a&amp;b.js""#));
    assert!(ask("GET", "/", b"").text().contains(r#"src="/a&amp;b.js""#));
    let open = ask("POST", "/close/0/s/xhr_streaming", b"");
    assert_eq!(open.header("set-cookie"), Some("JSESSIONID=dummy; path=/; Secure"));
    let stream = open.text();
    assert!(stream.ends_with("h\no\n"), "two bytes end it: {stream}");
    assert_eq!(ask("POST", "/echo/0/s/xhr", b"").text(), "o\n");
    assert_eq!(ask("POST", "/echo/0/s/xhr", b"").text(), "h\n");
    assert_eq!(ask("POST", "/echo/0/other/xhr", b"").status, 503, "one session is the most");
    assert_eq!(ask("POST", "/echo/0/s/xhr_send", &[b' '; 25]).status, 413);
    let mut client = Client::connect(echo.address());
    let offer = "Sec-WebSocket-Protocol: x, news, chat\r\n";
    client.send(crate::support::frames::handshake("/ticker/websocket", offer));
    assert_eq!(client.head().header("sec-websocket-protocol"), Some("chat"));
}

#[test]
fn pages_without_cors_and_iframe_get_neither() {
    let echo = start(&["--no-cors", "--no-iframe"]);
    let mut client = Client::connect(echo.address());
    let info = client.ask("GET", "/echo/info", "Origin: https://a.example\r\n", b"");
    assert_eq!((info.status, info.header("access-control-allow-origin")), (200, None));
    assert_eq!(client.ask("GET", "/echo/iframe.html", "", b"").status, 404);
}

/// `/disabled_websocket_echo` would have no transport at all.
#[test]
fn a_server_of_websockets_alone_starts() {
    let echo = start(&["--transports", "websocket-raw"]);
    assert_eq!(WebSocket::raw(echo.address(), "/echo").send("a").text(), "a");
    let status = Client::connect(echo.address()).ask("GET", "/disabled_websocket_echo", "", b"").status;
    assert_eq!(status, 404);
}
