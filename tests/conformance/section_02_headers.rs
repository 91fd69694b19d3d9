//! Section 2: what may be cached, who may read it, and the load balancer's cookie.

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::client::Answer;
use crate::support::frames::HANDSHAKE;
use crate::support::receiver::Receiver;
use crate::support::target::Target;
use crate::support::wire::Transport;

pub const RULES: &[Rule] = &[
    rule(
        "2",
        "/info and every session URL are not cached: the exact Cache-Control, no Expires, no Last-Modified",
        not_cached,
    ),
    rule(
        "2",
        "the iframe page and OPTIONS are cached a year: Cache-Control, and Expires a year ahead",
        cached,
    ),
    rule("2", "CORS without Origin: `*`, no credentials, Vary: Origin", no_origin),
    rule(
        "2",
        "CORS with Origin: the origin echoed (`null` too), with credentials, Vary: Origin",
        origin_echoed,
    ),
    rule("2", "CORS is on error answers too", cors_on_errors),
    rule(
        "2",
        "a non-empty Access-Control-Request-Headers is echoed as Access-Control-Allow-Headers",
        request_headers_echoed,
    ),
    rule("2", "absent or empty, there is no Access-Control-Allow-Headers", no_request_headers),
    rule("2", "OPTIONS: 204, empty, Access-Control-Max-Age and the methods of the path", options),
    rule("2", "JSESSIONID: `dummy` on every session URL if the request has none", cookie_dummy),
    rule("2", "JSESSIONID: the request's own value comes back", cookie_echoed),
    rule(
        "2",
        "JSESSIONID: a value with bytes outside of cookie-octet is replaced by `dummy`",
        cookie_refused,
    ),
    rule(
        "2",
        "JSESSIONID: never on /info, greeting, iframe page and WebSocket, nor where it is off",
        cookie_nowhere_else,
    ),
    rule("2", "nothing that a client sent is echoed with a control byte in it", no_control_bytes),
    here("2", "JSESSIONID: extra attributes are an option", cookie_attributes),
    here("2", "CORS can be switched off", cors_off),
    here("2", "an allow-list of origins refuses others, WebSockets too, with 403", origins_allowed),
];

const NEVER: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
const YEAR: &str = "public, max-age=31536000";

/// The head of the answer of each session URL, on a session of its own where it must be open.
fn session_answers(target: &Target, endpoint: &str, headers: &str) -> Vec<(&'static str, Answer)> {
    let mut answers = Vec::new();
    for (name, method, path) in [
        ("xhr", "POST", "/xhr"),
        ("xhr_streaming", "POST", "/xhr_streaming"),
        ("eventsource", "GET", "/eventsource"),
        ("htmlfile", "GET", "/htmlfile?c=x"),
        ("jsonp", "GET", "/jsonp?c=x"),
    ] {
        let path = format!("{}{path}", target.session(endpoint));
        answers.push((name, target.connect().request(method, &path, headers, b"").head().expect(200)));
    }
    for (name, status) in [("xhr_send", 204), ("jsonp_send", 200)] {
        let path = format!("{}/{name}", target.opened(endpoint));
        answers.push((name, target.ask("POST", &path, headers, b"[]").expect(status)));
    }
    answers
}

/// The answers that pages of other origins may read.
fn cors_answers(target: &Target, headers: &str) -> Vec<(&'static str, Answer)> {
    let mut answers = session_answers(target, "/echo", headers);
    answers.retain(|(name, _)| ["xhr", "xhr_streaming", "eventsource", "xhr_send"].contains(name));
    answers.push(("info", target.ask("GET", "/echo/info", headers, b"")));
    for path in ["/info", "/0/abc/xhr", "/0/abc/xhr_streaming", "/0/abc/xhr_send"] {
        answers.push(("OPTIONS", target.ask("OPTIONS", &format!("/echo{path}"), headers, b"")));
    }
    answers
}

fn varies_by_origin(answer: &Answer) -> bool {
    let vary = answer.header("Vary").unwrap_or_default();
    vary.split(',').any(|name| name.trim().eq_ignore_ascii_case("origin"))
}

fn not_cached(target: &Target) {
    let mut answers = session_answers(target, "/echo", "");
    answers.push(("info", target.get("/echo/info")));
    for (name, answer) in answers {
        assert_eq!(answer.header("Cache-Control"), Some(NEVER), "{name}");
        assert_eq!(answer.header("Expires"), None, "{name}");
        assert_eq!(answer.header("Last-Modified"), None, "{name}");
    }
}

fn cached(target: &Target) {
    for (method, path) in [
        ("GET", "/iframe.html"),
        ("OPTIONS", "/info"),
        ("OPTIONS", "/0/abc/xhr"),
        ("OPTIONS", "/0/abc/xhr_send"),
        ("OPTIONS", "/0/abc/xhr_streaming"),
    ] {
        let answer = target.ask(method, &format!("/echo{path}"), "", b"");
        assert_eq!(answer.header("Cache-Control"), Some(YEAR), "{method} {path}");
        let date = seconds(answer.header("Date").expect("RFC 9110 §6.6.1: a Date"));
        let expires =
            seconds(answer.header("Expires").unwrap_or_else(|| panic!("{method} {path}: no Expires")));
        let ahead = expires - date;
        assert!((ahead - 31_536_000).abs() <= 5, "{method} {path}: Expires is {ahead} s ahead");
    }
}

/// The seconds since 1970 of an IMF-fixdate (RFC 9110 §5.6.7).
fn seconds(date: &str) -> i64 {
    let parts: Vec<&str> = date.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = parts[..] else {
        panic!("an IMF-fixdate: {date:?}")
    };
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("an IMF-fixdate: {date:?}"));
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month).expect("a month") as i64;
    // The year begins in March, so that its leap day is its last.
    let (year, month) = if month < 2 { (number(year) - 1, month + 10) } else { (number(year), month - 2) };
    let days =
        year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + number(day) - 1 - 719_468;
    ((days * 24 + number(hour)) * 60 + number(minute)) * 60 + number(second)
}

fn no_origin(target: &Target) {
    for (name, answer) in cors_answers(target, "") {
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{name}");
        assert_eq!(answer.header("Access-Control-Allow-Credentials"), None, "{name}");
        assert!(varies_by_origin(&answer), "{name}: no Vary: Origin in {}", answer.head);
    }
}

fn origin_echoed(target: &Target) {
    for origin in ["http://example.org", "https://a.b-c.example:8443", "null"] {
        for (name, answer) in cors_answers(target, &format!("Origin: {origin}\r\n")) {
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(origin), "{name}");
            assert_eq!(answer.header("Access-Control-Allow-Credentials"), Some("true"), "{name}");
            assert!(varies_by_origin(&answer), "{name}: no Vary: Origin in {}", answer.head);
        }
    }
}

fn cors_on_errors(target: &Target) {
    let origin = "Origin: http://example.org\r\n";
    let open = target.opened("/echo");
    for (method, path, body, status) in [
        ("POST", format!("{}/xhr_send", target.session("/echo")), "[]", 404),
        ("POST", format!("{open}/xhr_send"), "", 500),
        ("POST", format!("{open}/xhr_send"), "[", 500),
        ("GET", format!("{open}/xhr"), "", 405),
    ] {
        let answer = target.ask(method, &path, origin, body.as_bytes()).expect(status);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("http://example.org"), "{status}");
        assert_eq!(answer.header("Access-Control-Allow-Credentials"), Some("true"), "{status}");
    }
}

fn request_headers_echoed(target: &Target) {
    for (name, answer) in cors_answers(target, "Access-Control-Request-Headers: a, b, X-Long-Name\r\n") {
        assert_eq!(answer.header("Access-Control-Allow-Headers"), Some("a, b, X-Long-Name"), "{name}");
    }
}

fn no_request_headers(target: &Target) {
    for headers in ["", "Access-Control-Request-Headers: \r\n", "Access-Control-Request-Headers:\r\n"] {
        for (name, answer) in cors_answers(target, headers) {
            assert_eq!(answer.header("Access-Control-Allow-Headers"), None, "{name}");
        }
    }
}

fn options(target: &Target) {
    for (path, methods) in [
        ("/info", "OPTIONS, GET"),
        ("/0/abc/xhr", "OPTIONS, POST"),
        ("/0/abc/xhr_send", "OPTIONS, POST"),
        ("/0/abc/xhr_streaming", "OPTIONS, POST"),
    ] {
        target
            .ask("OPTIONS", &format!("/echo{path}"), "Origin: http://example.org\r\n", b"")
            .expect(204)
            .expect_header("Access-Control-Max-Age", "31536000")
            .expect_header("Access-Control-Allow-Methods", methods)
            .expect_header("Access-Control-Allow-Origin", "http://example.org")
            .expect_body("");
    }
}

fn cookies_for(target: &Target, headers: &str, expected: &str) {
    for (name, answer) in session_answers(target, "/cookie_needed_echo", headers) {
        assert_eq!(answer.header("Set-Cookie"), Some(expected), "{name} asked with {headers:?}");
    }
}

fn cookie_dummy(target: &Target) {
    cookies_for(target, "", "JSESSIONID=dummy; path=/");
    cookies_for(target, "Cookie: XJSESSIONID=abc; other=1\r\n", "JSESSIONID=dummy; path=/");
}

fn cookie_echoed(target: &Target) {
    cookies_for(target, "Cookie: JSESSIONID=abcdef\r\n", "JSESSIONID=abcdef; path=/");
    cookies_for(target, "Cookie: a=b; JSESSIONID=node1!xyz~'; c=d\r\n", "JSESSIONID=node1!xyz~'; path=/");
}

fn cookie_refused(target: &Target) {
    for value in ["a\tb", "a b", "a\"b", "a,b", "a\\b", "\u{e9}", ""] {
        cookies_for(target, &format!("Cookie: JSESSIONID={value}\r\n"), "JSESSIONID=dummy; path=/");
    }
}

fn cookie_nowhere_else(target: &Target) {
    let sent = "Cookie: JSESSIONID=abcdef\r\n";
    for path in ["", "/", "/info", "/iframe.html"] {
        target
            .ask("GET", &format!("/cookie_needed_echo{path}"), sent, b"")
            .expect(200)
            .expect_header("Set-Cookie", None);
    }
    for path in ["/websocket".to_owned(), format!("/000/{}/websocket", crate::support::target::fresh_id())] {
        let mut connection = target.connect();
        connection.request("GET", &format!("/cookie_needed_echo{path}"), &format!("{HANDSHAKE}{sent}"), b"");
        connection.head().expect(101).expect_header("Set-Cookie", None);
    }
    for (name, answer) in session_answers(target, "/echo", sent) {
        assert_eq!(answer.header("Set-Cookie"), None, "{name}");
    }
}

fn no_control_bytes(target: &Target) {
    let hostile = [
        "Origin: http://a\tb\r\n",
        "Origin: http://\u{80}\u{9f}.example\r\n",
        "Access-Control-Request-Headers: a\tb\r\n",
        "Cookie: JSESSIONID=a\tb\r\n",
    ];
    for headers in hostile {
        for path in ["/info", "/0/abc/xhr_send"] {
            let answer = target.ask("OPTIONS", &format!("/cookie_needed_echo{path}"), headers, b"");
            let is_clean = !answer.head.replace("\r\n", "").contains(char::is_control);
            assert!(is_clean, "asked with {headers:?}: {:?}", answer.head);
        }
    }
    // What would be control bytes once it is decoded is not decoded into an answer either.
    for parameter in ["%0d%0aX-Injected:%20yes", "cb%0d%0a%0d%0a<script>", "%00", "cb%09"] {
        for kind in ["jsonp", "htmlfile"] {
            let answer = target.get(&format!("{}/{kind}?c={parameter}", target.session("/echo"))).expect(500);
            assert_eq!(answer.header("X-Injected"), None);
            assert_eq!(answer.text().trim_end(), "invalid \"callback\" parameter");
        }
    }
}

/// A server with one endpoint at `/echo`.
fn with_options(change: impl FnOnce(&mut EndpointOptions)) -> (TestServer, Target) {
    let mut options = EndpointOptions::default();
    change(&mut options);
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount_with("/echo", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let target = Target::at(server.address);
    (server, target)
}

fn cookie_attributes() {
    let (_server, target) = with_options(|options| options.jsessionid = Some("Secure; SameSite=None".into()));
    for (name, answer) in session_answers(&target, "/echo", "Cookie: JSESSIONID=x\r\n") {
        assert_eq!(
            answer.header("Set-Cookie"),
            Some("JSESSIONID=x; path=/; Secure; SameSite=None"),
            "{name}"
        );
    }
}

fn cors_off() {
    let (_server, target) = with_options(|options| options.cors = false);
    for (name, answer) in cors_answers(&target, "Origin: http://example.org\r\n") {
        let allowed = answer.headers.iter().any(|(name, _)| name.starts_with("Access-Control-Allow-Origin"));
        assert!(!allowed, "{name}: {}", answer.head);
    }
}

fn origins_allowed() {
    let (_server, target) = with_options(|options| options.origins = vec!["https://good.example".into()]);
    let good = "Origin: https://good.example\r\n";
    for bad in ["https://bad.example", "https://good.example.bad.example", "http://good.example", "null"] {
        let bad = format!("Origin: {bad}\r\n");
        target.ask("GET", "/echo/info", &bad, b"").expect(403);
        target.ask("POST", &format!("{}/xhr", target.session("/echo")), &bad, b"").expect(403);
        for path in ["/echo/websocket", "/echo/0/a/websocket"] {
            target.ask("GET", path, &format!("{HANDSHAKE}{bad}"), b"").expect(403);
            // hybi-07 and hybi-10 name their origin so.
            target.ask("GET", path, &format!("{HANDSHAKE}Sec-WebSocket-{bad}"), b"").expect(403);
        }
    }
    // Scripts, forms and frames of another site carry no Origin.
    for fields in ["Sec-Fetch-Site: cross-site\r\n", "Referer: https://bad.example/\r\n", ""] {
        for path in ["jsonp?c=cb", "htmlfile?c=cb"] {
            target.ask("GET", &format!("{}/{path}", target.session("/echo")), fields, b"").expect(403);
        }
        target.ask("POST", &format!("{}/jsonp_send", target.session("/echo")), fields, b"").expect(403);
    }
    target.ask("GET", "/echo/info", good, b"").expect(200);
    target.ask("POST", &format!("{}/xhr", target.session("/echo")), good, b"").expect(200).expect_body("o\n");
    target.connect().request("GET", "/echo/websocket", &format!("{HANDSHAKE}{good}"), b"").head().expect(101);
    // A program names no page.
    assert_eq!(Receiver::open(&target, Transport::EventSource, &target.session("/echo")).frame(), "o");
}
