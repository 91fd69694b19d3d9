//! `sockjs-echo --check`: the real program against servers that work, that do in part, and that are none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use crate::output;
use crate::support::PATIENCE;
use crate::support::echo_process::{EchoProcess, command};

/// The transports, in the order of the table.
const NAMES: [&str; 7] = [
    "websocket",
    "websocket-raw",
    "xhr-streaming",
    "eventsource",
    "htmlfile",
    "xhr-polling",
    "jsonp-polling",
];

/// The exit code, and the table.
fn check(url: &str, options: &[&str]) -> (Option<i32>, String) {
    let (code, out, error) = output(&[&["--check", url][..], options].concat());
    assert_eq!(error, "", "{out}");
    (code, out)
}

/// The row of a transport: whether it opened, the echo's time and its unit, the close code, and the reason.
fn row(table: &str, name: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {table}"));
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

fn start(arguments: &[&str]) -> EchoProcess {
    EchoProcess::spawn(&mut command(&[&["--listen", "127.0.0.1:0"][..], arguments].concat()))
}

/// A server that gives the same answer to everything but `/info`, and then ends the connection. Without an answer it is
/// silent, and the connection stays. Its thread ends with the tests.
fn stub(info: &'static str, others: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            // Closing with the request unread would reset the connection.
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.extend(byte);
            }
            match if request.starts_with(b"GET /echo/info ") { Some(info) } else { others } {
                Some(answer) => stream.write_all(answer.as_bytes()).expect("send"),
                None => silent.push(stream),
            }
        }
    });
    address
}

const INFO: &str =
    "HTTP/1.1 200 OK\r\n\r\n{\"websocket\":true,\"origins\":[\"*:*\"],\"cookie_needed\":false,\"entropy\":1}";

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

#[test]
fn every_transport_of_this_server_works() {
    let echo = start(&[]);
    let (code, table) = check(&format!("http://{}/echo/", echo.address()), &[]);
    assert_eq!(code, Some(0), "{table}");
    for name in NAMES {
        let close = if name.starts_with("websocket") { "1000" } else { "-" };
        let row = row(&table, name);
        let words = (&*row[0], &*row[1], &*row[3], &*row[4], row.len());
        assert_eq!(words, ("yes", "yes", "ms", close, 5), "{table}");
        row[2].parse::<f64>().unwrap_or_else(|error| panic!("{error}: {table}"));
    }
    assert!(table.ends_with("7 of 7 transports work that the server offers\n"), "{table}");
}

/// What a session has to survive: responses that end behind each frame, heartbeats between, a cookie.
#[test]
fn unusual_settings_are_no_failure() {
    let echo = start(&["--response-limit", "1", "--heartbeat", "1ms", "--jsessionid", "Secure"]);
    let (code, table) = check(&format!("http://{}/broadcast", echo.address()), &[]);
    assert_eq!(code, Some(0), "{table}");
}

#[test]
fn what_the_server_does_not_offer_is_no_failure() {
    let echo = start(&["--transports", "xhr-polling,eventsource"]);
    let (code, table) = check(&format!("http://{}/echo", echo.address()), &[]);
    assert_eq!(code, Some(0), "{table}");
    for name in NAMES {
        let is_on = matches!(name, "xhr-polling" | "eventsource");
        assert_eq!(row(&table, name)[0], if is_on { "yes" } else { "off" }, "{table}");
    }
    assert!(table.ends_with("2 of 2 transports work that the server offers\n"), "{table}");
    assert!(row(&table, "info").join(" ").ends_with("it says that there are no WebSockets"), "{table}");
}

#[test]
fn a_server_that_does_not_echo_is_told_from_one_that_closes() {
    let echo = start(&[]);
    let (code, table) = check(&format!("http://{}/close", echo.address()), &[]);
    assert_eq!(code, Some(1), "{table}");
    for name in NAMES {
        let row = row(&table, name);
        assert_eq!(row[..4], ["yes", "no", "-", "3000"], "{table}");
        assert_eq!(row[4..].join(" "), "the server closed with 3000 Go away!", "{table}");
    }
    let echo = start(&["--transports", "websocket,xhr-polling"]);
    let (code, table) = check(&format!("http://{}/amplify", echo.address()), &["--timeout", "1"]);
    assert_eq!(code, Some(1), "{table}");
    for name in ["websocket", "xhr-polling"] {
        let row = row(&table, name);
        assert_eq!(row[..4], ["yes", "no", "-", "-"], "{table}");
        assert_eq!(row[4..].join(" "), "messages came, but not the one that was sent", "{table}");
    }
}

/// The list of origins admits programs, but not where an old browser would look the same.
#[test]
fn it_asks_as_a_page_of_an_origin() {
    let echo = start(&["--origins", "https://a.example"]);
    let url = format!("http://{}/echo", echo.address());
    let (code, table) = check(&url, &[]);
    assert_eq!(code, Some(1), "{table}");
    let refused = "the answer to the receive request has status 403";
    assert_eq!(row(&table, "jsonp-polling")[4..].join(" "), refused, "{table}");
    assert_eq!(row(&table, "xhr-polling")[0], "yes", "{table}");
    let (code, table) = check(&url, &["--origin", "https://a.example"]);
    assert_eq!(code, Some(0), "{table}");
    let (code, table) = check(&url, &["--origin", "https://b.example"]);
    assert_eq!(code, Some(1), "{table}");
    assert!(row(&table, "info").join(" ").ends_with("the answer to /info has status 403"), "{table}");
}

#[test]
fn it_goes_where_info_sends_it() {
    let echo = start(&[]);
    let base = format!("http://{}/", echo.address());
    let front = start(&["--base-url", &base, "--transports", "jsonp-polling"]);
    let (code, table) = check(&format!("http://{}/broadcast", front.address()), &[]);
    assert_eq!(code, Some(0), "{table}");
    for name in NAMES {
        assert_eq!(row(&table, name)[0], "yes", "{table}");
    }
}

#[test]
fn a_closed_port_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}/echo", listener.local_addr().expect("address"));
    drop(listener);
    let (code, table) = check(&url, &[]);
    assert_eq!(code, Some(1), "{table}");
    assert!(row(&table, "info").join(" ").contains("refused"), "{table}");
}

#[test]
fn what_is_no_sockjs_server_is_told() {
    for (answer, reason) in [
        (NOT_FOUND, "the answer to /info has status 404: does the URL end in the path of an endpoint?"),
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://h/info\r\nContent-Length: 0\r\n\r\n",
            "the answer to /info has status 301, to https://h/info",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n<html>", "the answer to /info is none of a SockJS server"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the connection ended before the answer to /info"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "the answer is not HTTP/1.1"),
        ("", "the connection ended before the answer to /info"),
    ] {
        let (code, table) = check(&format!("http://{}/echo", stub(answer, None)), &[]);
        assert_eq!(code, Some(1), "{table}");
        let row = row(&table, "info");
        assert_eq!(row[..4], ["no", "-", "-", "-"], "{table}");
        assert_eq!(row[4..].join(" "), reason);
        assert_eq!(table.lines().count(), 3, "nothing is tried behind it: {table}");
    }
}

/// What `/info` promises must be there; of the other transports nothing is promised.
#[test]
fn a_websocket_that_is_promised_and_missing_is_a_failure() {
    let (code, table) = check(&format!("http://{}/echo", stub(INFO, Some(NOT_FOUND))), &[]);
    assert_eq!(code, Some(1), "{table}");
    let missing = "no - - - the answer to the upgrade has status 404";
    assert_eq!(row(&table, "websocket").join(" "), missing, "{table}");
    for name in &NAMES[1..] {
        assert_eq!(row(&table, name)[0], "off", "{table}");
    }
    assert!(table.ends_with("0 of 1 transports work that the server offers\n"), "{table}");
}

/// Proxies that collect a response until it ends let nothing of a stream through.
#[test]
fn a_stream_that_is_held_back_is_told() {
    let (code, table) = check(&format!("http://{}/echo", stub(INFO, None)), &["--timeout", "500ms"]);
    assert_eq!(code, Some(1), "{table}");
    for name in NAMES {
        let reason = match name {
            "websocket" | "websocket-raw" => "no answer to the upgrade within 500 ms",
            "xhr-polling" | "jsonp-polling" => "no open frame within 500 ms",
            _ => "no open frame within 500 ms: a proxy may hold the response back",
        };
        assert_eq!(row(&table, name)[4..].join(" "), reason, "{table}");
    }
}

/// What stands between may answer an upgrade with a page, or take it and send something else.
#[test]
fn answers_that_are_none_of_a_transport_are_told() {
    let page = "HTTP/1.1 200 OK\r\n\r\n<html>\n</html>\n";
    let (_, table) = check(&format!("http://{}/echo", stub(INFO, Some(page))), &[]);
    for name in NAMES {
        let reason = match name {
            "websocket" | "websocket-raw" => "the answer to the upgrade has status 200",
            "xhr-streaming" | "xhr-polling" | "jsonp-polling" => "the answer holds no SockJS frame",
            _ => "the connection ended before the open frame",
        };
        assert_eq!(row(&table, name)[4..].join(" "), reason, "{table}");
    }
    let upgraded = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let (_, table) = check(&format!("http://{}/echo", stub(INFO, Some(upgraded))), &[]);
    let reason = "the WebSocket handshake has a wrong answer";
    assert_eq!(row(&table, "websocket")[4..].join(" "), reason, "{table}");
}

/// A server that takes the connection and says nothing: its backlog does that.
#[test]
fn a_server_that_is_silent_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let (code, table) = check(&url, &["--timeout", "500ms"]);
    assert_eq!(code, Some(1), "{table}");
    assert!(row(&table, "info").join(" ").ends_with("no answer to /info within 500 ms"), "{table}");
}

#[test]
fn what_cannot_be_checked_is_a_wrong_argument() {
    for (url, reason) in [
        ("https://127.0.0.1/echo", "needs TLS, which this program does not speak"),
        ("127.0.0.1:8081/echo", "must begin with http://"),
        ("http://127.0.0.1/echo?a", "without a query"),
    ] {
        let (code, out, error) = output(&["--check", url]);
        assert_eq!((code, &*out), (Some(2), ""), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}
