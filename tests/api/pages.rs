//! The paths outside of every endpoint.

use sockjs_server::{Context, EndpointId, Request, Response, ServerOptions, Session};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::websocket::WebSocket;

fn answer(context: &mut Context<'_>, request: &Request<'_>, body: &[u8], news: EndpointId) -> Response {
    assert_eq!(request.transport(), None);
    match (request.method(), request.path()) {
        ("GET" | "HEAD", "/") => {
            Response::new(200).header("Content-Type", "text/html; charset=UTF-8").body("<h1>Hello</h1>")
        }
        ("GET", "/sessions") => Response::new(200).body(context.counters().sessions.to_string()),
        ("POST", "/news") => {
            let text = String::from_utf8_lossy(body);
            let reached = context.endpoint(news).broadcast(&text);
            Response::new(202).body(reached.to_string())
        }
        (method, "/headers") => Response::new(if method == "DELETE" { 204 } else { 200 })
            .header("X-Method", method)
            .header("X-Own", "a\r\nInjected: b")
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2")
            .header("Content-Length", "999")
            .header("Transfer-Encoding", "chunked")
            .header("Connection", "upgrade")
            .header("not a name", "x")
            .body(body.to_vec()),
        ("GET", "/nothing") => Response::new(204).body("dropped"),
        ("GET", "/absurd") => Response::new(99),
        ("GET", "/query") => {
            let query = request.query().unwrap_or("none");
            Response::new(200).body(format!("{query} {:?}", request.cookie("c")))
        }
        _ => Response::new(404),
    }
}

fn start() -> TestServer {
    TestServer::start(ServerOptions::default(), |server| {
        let news = server.mount("/sockjs", |_: &mut Session<'_>, _: &str| {}).expect("mount");
        server.fallback(move |context, request, body| answer(context, request, body, news));
    })
}

/// Rule 1: paths under no prefix belong to the program.
#[test]
fn pages_are_answered_beside_the_endpoints() {
    let server = start();
    let mut client = Client::connect(server.address);
    let page = client.ask("GET", "/", "", b"");
    assert_eq!((page.status, page.text()), (200, "<h1>Hello</h1>"));
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=UTF-8"));
    let head = client.ask("HEAD", "/", "", b"");
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("14")));
    assert_eq!(client.ask("GET", "/else", "", b"").status, 404);
    assert_eq!(client.ask("GET", "/sockjs", "", b"").text(), "Welcome to SockJS!\n");
    assert_eq!(client.ask("GET", "/sockjs/else", "", b"").status, 404);
    assert_eq!(client.ask("GET", "/query?a=%20b", "Cookie: c=d\r\n", b"").text(), "a=%20b Some(\"d\")");
}

#[test]
fn a_page_reaches_the_sessions() {
    let server = start();
    let mut socket = WebSocket::raw(server.address, "/sockjs");
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("GET", "/sessions", "", b"").text(), "1");
    let answer = client.ask("POST", "/news", "", b"the news of the day");
    assert_eq!((answer.status, answer.text()), (202, "1"));
    assert_eq!(socket.text(), "the news of the day");
}

/// RFC 9112 §6: how an answer is framed is the server's affair, and no value ends its line.
#[test]
fn headers_cannot_break_the_answer() {
    let server = start();
    let mut client = Client::connect(server.address);
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
        let answer = client.ask(method, "/headers", "", b"a body");
        assert_eq!(answer.header("X-Method"), Some(method));
        assert_eq!((answer.header("X-Own"), answer.header("Injected")), (Some("aInjected: b"), None));
        assert_eq!(answer.header("Content-Length"), (method != "DELETE").then_some("6"), "{method}");
        assert_eq!((answer.header("Transfer-Encoding"), answer.header("Connection")), (None, None));
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "Set-Cookie").count(), 2);
        assert!(!answer.head.contains("not a name"));
        assert_eq!(answer.text(), if matches!(method, "HEAD" | "DELETE") { "" } else { "a body" });
    }
    // Still in step.
    let answer = client.ask("GET", "/nothing", "", b"");
    assert_eq!((answer.status, answer.header("Content-Length")), (204, None));
    assert_eq!(client.ask("GET", "/absurd", "", b"").status, 500);
}

#[test]
fn bodies_have_a_limit() {
    let mut options = ServerOptions::default();
    options.body_size = 10;
    let server = TestServer::start(options, |server| {
        server.fallback(|_, _, body| Response::new(200).body(body.to_vec()));
    });
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/", "", b"0123456789").text(), "0123456789");
    let chunked = "Transfer-Encoding: chunked\r\n";
    client.send(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{chunked}\r\n3\r\nabc\r\n0\r\n\r\n"));
    assert_eq!(client.answer().text(), "abc");
    assert_eq!(client.ask("POST", "/", "", b"01234567890").status, 413);
}

/// RFC 9110 §15: fields that a status must have, and content that it must not have.
#[test]
fn statuses_keep_their_promises() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.fallback(|_, request, _| {
            let parameter = |name| request.query_parameter(name);
            let status = parameter("status").and_then(|status| status.parse().ok()).expect("a status");
            let response = Response::new(status).body("because");
            match parameter("field") {
                Some(field) => response.header(&field, &parameter("value").unwrap_or_default()),
                None => response,
            }
        });
    });
    let mut client = Client::connect(server.address);
    for (query, expected) in [
        ("status=401", 403),
        ("status=401&field=WWW-Authenticate", 403),
        ("status=401&field=WWW-Authenticat&value=Basic", 403),
        ("status=401&field=www-authenticate&value=Basic", 401),
        ("status=405", 403),
        ("status=405&field=Allow&value=GET", 405),
        ("status=405&field=allow", 405),
        ("status=407", 403),
        ("status=407&field=Proxy-Authenticate&value=Basic", 407),
        ("status=426", 403),
        // The server upgrades nothing outside of its endpoints.
        ("status=426&field=Upgrade&value=websocket", 403),
        ("status=206", 500),
        ("status=206&field=Content-Range&value=bytes", 206),
        ("status=402", 402),
    ] {
        let answer = client.ask("GET", &format!("/?{query}"), "", b"");
        assert_eq!((answer.status, answer.text()), (expected, "because"), "{query}");
        assert_eq!(answer.header("Upgrade"), None);
    }
    for (status, length) in [(204, None), (205, Some("0")), (304, None)] {
        for method in ["GET", "HEAD", "POST"] {
            let answer = client.ask(method, &format!("/?status={status}"), "", b"");
            assert_eq!((answer.status, answer.header("Content-Length")), (status, length), "{method}");
            assert_eq!((answer.text(), answer.header("Transfer-Encoding")), ("", None));
        }
    }
    // Still in step.
    assert_eq!(client.ask("GET", "/?status=200", "", b"").text(), "because");
}
