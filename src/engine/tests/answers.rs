//! Heads of answers, whole: every field, in order, and whether the connection stays.

use super::world::{World, echo};
use crate::engine::{EndpointOptions, Engine, Refusal, Response};

const TEXT: &str = "Content-Type: text/plain; charset=UTF-8\r\n";
const SCRIPT: &str = "Content-Type: application/javascript; charset=UTF-8\r\n";
const NEVER: &str = "Cache-Control: no-store, no-cache, no-transform, must-revalidate, max-age=0\r\n";
const YEAR: &str = "Cache-Control: public, max-age=31536000\r\nExpires: Fri, 01 Jan 1971 00:00:00 GMT\r\n";
const ALL: &str = "Access-Control-Allow-Origin: *\r\nVary: Origin\r\n";
const ONE: &str =
    "Access-Control-Allow-Origin: http://o\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n";

/// The answer to a request of these lines, the last of which is its `Host`.
fn answer(world: &mut World, request: &str) -> String {
    let key = world.connect();
    world.send(key, format!("{request}\r\nHost: h\r\n\r\n"));
    let answer = world.take(key);
    let closes = answer.contains("\r\nConnection: close");
    assert_eq!(world.was_shut(key), closes, "{request:?}: {answer}");
    answer
}

fn expect(request: &str, status: &str, fields: &[&str], body: &str) {
    let mut world = World::new(echo);
    let date = "Date: Thu, 01 Jan 1970 00:00:00 GMT";
    let expected = format!("HTTP/1.1 {status}\r\n{date}\r\n{}\r\n{body}", fields.concat());
    assert_eq!(answer(&mut world, request), expected, "{request:?}");
}

#[test]
fn pages_of_an_endpoint() {
    let length = "Content-Length: 19\r\n";
    expect("GET /e HTTP/1.1", "200 OK", &[TEXT, length], "Welcome to SockJS!\n");
    expect("HEAD /e HTTP/1.1", "200 OK", &[TEXT, length], "");
    let fields = [TEXT, "Connection: close\r\n", length];
    expect("GET /e/ HTTP/1.0", "200 OK", &fields, "Welcome to SockJS!\n");
    expect("GET /e HTTP/1.1\r\nConnection: close", "200 OK", &fields, "Welcome to SockJS!\n");
    let fields = [YEAR, "ETag: \"e10d75cbbb71bd07\"\r\n"];
    expect("GET /e/iframe.html HTTP/1.1\r\nIf-None-Match: *", "304 Not Modified", &fields, "");
}

#[test]
fn answers_to_preflights() {
    let fields = |allow| [YEAR, ONE, allow, "Access-Control-Max-Age: 31536000\r\n"];
    let [year, one, allow, age] = fields("Allow: OPTIONS, GET, HEAD\r\n");
    let methods = "Access-Control-Allow-Methods: OPTIONS, GET\r\n";
    let request = "OPTIONS /e/info HTTP/1.1\r\nOrigin: http://o";
    expect(request, "204 No Content", &[year, one, allow, age, methods], "");
    let [year, one, allow, age] = fields("Allow: OPTIONS, POST\r\n");
    let methods = "Access-Control-Allow-Methods: OPTIONS, POST\r\n";
    let headers = "Access-Control-Allow-Headers: a, b\r\n";
    let asked = "Access-Control-Request-Headers: a, b";
    let request = format!("OPTIONS /e/000/s/xhr HTTP/1.1\r\nOrigin: http://o\r\n{asked}");
    expect(&request, "204 No Content", &[year, one, headers, allow, age, methods], "");
}

#[test]
fn first_answers_of_polls() {
    let length = "Content-Length: 2\r\n";
    let request = "POST /e/000/s/xhr HTTP/1.1\r\nContent-Length: 0";
    expect(request, "200 OK", &[SCRIPT, NEVER, ALL, length], "o\n");
    let request = format!("{request}\r\nOrigin: http://o");
    expect(&request, "200 OK", &[SCRIPT, NEVER, ONE, length], "o\n");
    let request = "POST /e/000/s/xhr HTTP/1.0\r\nContent-Length: 0";
    expect(request, "200 OK", &[SCRIPT, NEVER, ALL, "Connection: close\r\n", length], "o\n");
    let fields = [SCRIPT, NEVER, "X-Content-Type-Options: nosniff\r\n", "Content-Length: 13\r\n"];
    expect("GET /e/000/s/jsonp?c=f HTTP/1.1", "200 OK", &fields, "/**/f(\"o\");\r\n");
}

/// A stream of HTTP/1.0 ends with its connection, also where the client would keep it.
#[test]
fn heads_of_streams() {
    let plain = "Content-Type: text/event-stream\r\n";
    let chunked = "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n";
    let closes = "X-Accel-Buffering: no\r\nConnection: close\r\n";
    for (version, framing) in [("1.1", chunked), ("1.0\r\nConnection: keep-alive", closes)] {
        let mut world = World::new(echo);
        let key = world.connect();
        world.send(key, format!("GET /e/000/s/eventsource HTTP/{version}\r\nHost: h\r\n\r\n"));
        let head = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let expected = [head, plain, NEVER, ALL, framing, "\r\n"].concat();
        let received = world.take(key);
        assert!(received.starts_with(&expected), "{received}");
        world.finish();
    }
}

/// Handlers see no name of a session: the path ends with the prefix where it would follow.
#[test]
fn paths_as_handlers_see_them() {
    let mut world = World::new(echo);
    answer(&mut world, "POST /e/000/s/xhr HTTP/1.1\r\nContent-Length: 0");
    answer(&mut world, "GET /other/page?query HTTP/1.1");
    assert_eq!(world.handlers.shown, ["POST /e", "GET /other/page"]);
}

#[test]
fn errors_of_an_endpoint() {
    let length = |length| ["Content-Length: ", length, "\r\n"].concat();
    let fields = [NEVER, ALL, "Allow: OPTIONS, POST\r\n", &length("0")];
    expect("PUT /e/000/s/xhr HTTP/1.1", "405 Method Not Allowed", &fields, "");
    expect("GET /e/a/b/c/d HTTP/1.1", "404 Not Found", &[TEXT, &length("10")], "Not Found\n");
    for path in ["jsonp", "htmlfile"] {
        let request = format!("GET /e/000/s/{path} HTTP/1.1");
        let body = "\"callback\" parameter required";
        expect(&request, "500 Internal Server Error", &[TEXT, NEVER, &length("29")], body);
    }
    let request = "POST /e/000/s/xhr_send HTTP/1.1\r\nContent-Length: 0\r\nOrigin: http://o";
    expect(request, "404 Not Found", &[TEXT, NEVER, ONE, &length("16")], "Unknown session.");
    // Which path a malformed head is for is not known.
    let fields = [TEXT, "Connection: close\r\n", &length("11")];
    expect("GET  /e HTTP/1.1", "400 Bad Request", &fields, "Bad Request");
    let request = "HEAD /e HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked";
    expect(request, "400 Bad Request", &fields, "");
}

/// Clients take the entropy for their random numbers.
#[test]
fn entropy_of_an_endpoint() {
    let entropy = || {
        let answered = answer(&mut World::new(echo), "GET /e/info HTTP/1.1");
        let (_, number) = answered.split_once("\"entropy\":").expect("it is told");
        let number: String = number.chars().take_while(char::is_ascii_digit).collect();
        number.parse::<u32>().expect("of 32 bits")
    };
    let first = entropy();
    assert!((0..10).any(|_| entropy() != first));
}

/// A cookie that is none, or could break a line, is not handed back.
#[test]
fn cookies_for_balancers() {
    let sent = [("a=b", "a=b"), ("", "dummy"), ("a b", "dummy"), ("\"a\"", "dummy"), ("a\\b", "dummy")];
    for attributes in ["", "Secure"] {
        for (sent, expected) in sent {
            let options =
                EndpointOptions { jsessionid: Some(attributes.into()), ..EndpointOptions::default() };
            let mut world = World::with(options, echo);
            let request =
                format!("POST /e/000/s/xhr HTTP/1.1\r\nContent-Length: 0\r\nCookie: JSESSIONID={sent}");
            let answered = answer(&mut world, &request);
            let separator = if attributes.is_empty() { "" } else { "; " };
            let field = format!("\r\nSet-Cookie: JSESSIONID={expected}; path=/{separator}{attributes}\r\n");
            assert!(answered.contains(&field), "{sent:?}: {answered}");
        }
    }
}

/// The text of an error is text, also where the page is HTML or JSON.
#[test]
fn errors_in_place_of_pages() {
    for path in ["info", "iframe.html"] {
        let options = EndpointOptions { origins: vec!["http://a".into()], ..EndpointOptions::default() };
        let mut world = World::with(options, echo);
        let answered = answer(&mut world, &format!("GET /e/{path} HTTP/1.1\r\nOrigin: http://o"));
        assert!(answered.starts_with("HTTP/1.1 403 "), "{path}: {answered}");
        assert!(answered.contains(TEXT) && answered.matches("Content-Type:").count() == 1, "{answered}");
    }
}

#[test]
fn refused_upgrades() {
    let body = "Can \"Upgrade\" only to \"WebSocket\".";
    let fields = [TEXT, NEVER, "Content-Length: 34\r\n"];
    expect("GET /e/000/s/websocket HTTP/1.1", "400 Bad Request", &fields, body);
    let body = "\"Connection\" must be \"Upgrade\".";
    let fields = [TEXT, NEVER, "Connection: close\r\n", "Content-Length: 31\r\n"];
    let request = "GET /e/000/s/websocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: close";
    expect(request, "400 Bad Request", &fields, body);
    // RFC 6455 §4.4: the answer names the versions that are spoken here.
    let body = "\"Sec-WebSocket-Version\" must be 13, 8 or 7.";
    let upgrade = "Upgrade: websocket\r\nConnection: close, Upgrade\r\nSec-WebSocket-Version: 13, 8, 7\r\n";
    let fields = [TEXT, NEVER, upgrade, "Content-Length: 43\r\n"];
    let request = "GET /e/000/s/websocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 12";
    expect(request, "426 Upgrade Required", &fields, body);
    let mut world = World::new(echo);
    answer(&mut world, request);
    assert_eq!(world.handlers.refusals, [426]);
    assert_eq!(world.engine.counters().refused.malformed, 1);
}

/// A program's refusal has its own fields, but for those that the endpoint sets.
#[test]
fn fields_of_a_refusal() {
    let mut world = World::new(echo);
    world.handlers.refuse = || {
        let response = Response::new(401).header("WWW-Authenticate", "Bearer").header("Content-Type", "a/b");
        let response = response.header("Cache-Control", "public").header("Access-Control-Allow-Origin", "x");
        Some(Refusal::response(response.body("no")))
    };
    let expected = "WWW-Authenticate: Bearer\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nno";
    let answered = answer(&mut world, "POST /e/000/s/xhr HTTP/1.1\r\nContent-Length: 0");
    let head = "HTTP/1.1 401 Unauthorized\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    assert_eq!(answered, [head, NEVER, ALL, expected].concat());
}

#[test]
fn requests_and_messages_are_counted() {
    let mut world = World::new(|_: &mut Engine, _, _| {});
    let client = world.connect();
    world.post(client, "s/xhr", "");
    for _ in 0..2 {
        world.post(client, "s/xhr_send", r#"["a","b"]"#);
    }
    let counters = world.engine.counters();
    assert_eq!((counters.requests, counters.messages_in), (3, 4));
    let socket = world.websocket("websocket");
    world.send(socket, World::frame(1, b"a"));
    let counters = world.engine.counters();
    assert_eq!((counters.requests, counters.messages_in), (4, 5));
    let session = world.session(1);
    world.engine.broadcast(world.engine.endpoint_of(session).expect("it is open"), "b", None);
    assert_eq!(world.engine.send(session, "c"), Ok(()));
    assert_eq!(world.engine.counters().messages_out, 3);
    world.finish();
}
