//! Rule 2, "Allow-list of origins": the page of a request decides, on every path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sockjs_server::{EndpointOptions, Handler, Request, ServerOptions, Session, Transport, Transports};

use crate::support::TestServer;
use crate::support::client::{Answer, Client};
use crate::support::frames::HANDSHAKE;

/// Counts the sessions that opened.
struct Counting(Arc<AtomicUsize>);

impl Handler for Counting {
    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

fn start(change: impl FnOnce(&mut EndpointOptions)) -> (TestServer, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&opened);
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        change(&mut options);
        server.mount_with("/chat", options, Counting(counter)).expect("mount");
    });
    (server, opened)
}

fn listing(entries: &'static [&'static str]) -> (TestServer, Arc<AtomicUsize>) {
    start(move |options| options.origins = entries.iter().map(|&entry| entry.to_owned()).collect())
}

/// The head of the answer, and the body where it has an end.
fn ask(server: &TestServer, method: &str, target: &str, fields: &str) -> Answer {
    let mut client = Client::connect(server.address);
    client.request(method, target, fields, b"");
    let mut answer = client.head();
    if answer.header("Content-Length").is_some() {
        client.body(&mut answer);
    }
    answer
}

/// Every path that belongs to a session or tells of the endpoint, with what asks for it.
const PATHS: [(&str, &str, &str); 13] = [
    ("GET", "/chat/", ""),
    ("GET", "/chat/info", ""),
    ("OPTIONS", "/chat/info", ""),
    ("GET", "/chat/iframe.html", ""),
    ("GET", "/chat/websocket", HANDSHAKE),
    ("GET", "/chat/0/s1/websocket", HANDSHAKE),
    ("POST", "/chat/0/s2/xhr", ""),
    ("POST", "/chat/0/s3/xhr_streaming", ""),
    ("OPTIONS", "/chat/0/s3/xhr", ""),
    ("GET", "/chat/0/s4/eventsource", ""),
    ("GET", "/chat/0/s5/htmlfile?c=cb", ""),
    ("GET", "/chat/0/s6/jsonp?c=cb", ""),
    ("POST", "/chat/0/s7/jsonp_send", ""),
];

const HYBI_EVIL: &str = "Sec-WebSocket-Origin: https://evil.example\r\nSec-WebSocket-Version: 8\r\n";

#[test]
fn rule_1_2_a_page_that_is_not_listed_gets_nothing_on_any_path() {
    let (server, opened) = listing(&["https://good.example"]);
    for fields in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: https://good.example\r\nOrigin: https://good.example\r\n",
        // The page of another origin that loads a script.
        "Referer: https://evil.example/page\r\nSec-Fetch-Site: cross-site\r\n",
        // The same where it keeps its name back.
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        // A page under a foreign name that resolves to this server now.
        "Sec-Fetch-Site: same-origin\r\n",
        "Referer: http://localhost/\r\n",
        // hybi-10 names the page in a field of its own.
        HYBI_EVIL,
    ] {
        for (method, target, more) in PATHS {
            let more = match fields == HYBI_EVIL {
                true => more.replace("Sec-WebSocket-Version: 13\r\n", ""),
                false => more.to_owned(),
            };
            let answer = ask(&server, method, target, &format!("{fields}{more}"));
            assert_eq!(answer.status, 403, "{method} {target} {fields}");
            assert!(!answer.head.contains("Access-Control"), "{}", answer.head);
        }
    }
    assert_eq!(opened.load(Ordering::SeqCst), 0);
    assert_eq!(server.counters().refused.not_admitted, 9 * PATHS.len() as u64);
}

/// What is wrong with a request may be found before the page that it comes from is looked at.
#[test]
fn rule_1_a_page_that_is_not_listed_reads_no_answer_to_a_wrong_request() {
    let (server, _) = listing(&["https://good.example"]);
    for (method, target, more, status) in [
        ("PUT", "/chat/info", "", 405),
        ("GET", "/chat/0/s/xhr", "", 405),
        ("POST", "/chat/0/s/xhr_send", "Content-Length: 1000000000\r\n", 413),
    ] {
        let ask = |fields: &str| {
            let mut client = Client::connect(server.address);
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{fields}{more}\r\n"));
            let answer = client.head();
            assert_eq!(answer.status, status, "{method} {target} {fields}");
            answer
        };
        for page in ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"]
        {
            let head = ask(page).head;
            assert!(!head.contains("Access-Control"), "{page}{head}");
        }
        let listed = ask("Origin: https://good.example\r\n");
        assert_eq!(listed.header("Access-Control-Allow-Origin"), Some("https://good.example"));
    }
}

#[test]
fn rule_3_a_request_that_names_no_page_passes_but_where_an_old_browser_loads_it_for_any_page() {
    let (server, _) = listing(&["https://good.example"]);
    for (method, target, more) in PATHS {
        let expected = match target {
            "/chat/0/s5/htmlfile?c=cb" | "/chat/0/s6/jsonp?c=cb" | "/chat/0/s7/jsonp_send" => 403,
            "/chat/websocket" | "/chat/0/s1/websocket" => 101,
            _ if method == "OPTIONS" => 204,
            _ => 200,
        };
        assert_eq!(ask(&server, method, target, more).status, expected, "{method} {target}");
    }
    // An EventSource of a page that was loaded under a foreign name, over plain http: a browser shows in it alone.
    let browser = "Accept-Language: en\r\nUser-Agent: Mozilla/5.0\r\n";
    assert_eq!(ask(&server, "GET", "/chat/0/e/eventsource", browser).status, 403);
}

#[test]
fn a_listed_page_passes_on_every_path_however_it_is_named() {
    let (server, opened) = listing(&["https://good.example", "http://localhost", "http://*.many.example"]);
    let mut sessions = 0;
    for fields in [
        "Origin: https://good.example\r\n",
        "Origin: http://a.many.example\r\n",
        "Referer: https://good.example/page\r\nSec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
        "Sec-WebSocket-Origin: https://good.example\r\nSec-WebSocket-Version: 8\r\n",
    ] {
        for (method, target, more) in PATHS {
            let target = target.replace("/0/s", &format!("/0/{sessions}s"));
            // The version is said once: by the fields of the page, or by those of the handshake.
            let more = match fields.contains("Version: 8") {
                true => more.replace("Sec-WebSocket-Version: 13\r\n", ""),
                false => more.to_owned(),
            };
            let status = ask(&server, method, &target, &format!("{fields}{more}")).status;
            assert_ne!(status, 403, "{method} {target} {fields}");
        }
        sessions += 7;
        assert_eq!(opened.load(Ordering::SeqCst), sessions, "{fields}");
    }
}

#[test]
fn rule_4_only_listed_pages_may_frame_the_iframe_page() {
    let (server, _) = listing(&["https://good.example", "https://*.many.example", "null"]);
    let answer = ask(&server, "GET", "/chat/iframe.html", "");
    let policy = "frame-ancestors https://good.example https://*.many.example";
    assert_eq!(answer.header("Content-Security-Policy"), Some(policy));
    assert_eq!((answer.header("Cache-Control"), answer.header("Expires")), (Some("no-cache"), None));
    let tag = answer.header("ETag").expect("an entity tag").to_owned();
    let condition = format!("If-None-Match: {tag}\r\n");
    let answer = ask(&server, "GET", "/chat/iframe-1.6.1.html", &condition);
    assert_eq!((answer.status, answer.header("Content-Security-Policy")), (304, Some(policy)));
    assert_eq!(answer.header("Cache-Control"), Some("no-cache"));

    // Another list is another entity: browsers keep the policy that came with the page.
    let (other, _) = listing(&["https://other.example"]);
    assert_eq!(ask(&other, "GET", "/chat/iframe.html", &condition).status, 200);
    // Without a list everything is as it was.
    let (open, _) = start(|_| {});
    let answer = ask(&open, "GET", "/chat/iframe.html", &condition);
    assert_eq!((answer.status, answer.header("Content-Security-Policy")), (200, None));
    assert_eq!(answer.header("Cache-Control"), Some("public, max-age=31536000"));
}

#[test]
fn the_iframe_page_exists_while_a_transport_uses_it_and_an_option_has_it() {
    let with = |transport| Transports::none().with(transport);
    for (transports, iframe, status) in [
        (Transports::all(), true, 200),
        (Transports::all(), false, 404),
        (with(Transport::XhrPolling), true, 200),
        (with(Transport::EventSource), true, 200),
        (with(Transport::HtmlFile), true, 200),
        (with(Transport::WebSocket), true, 404),
        (with(Transport::XhrStreaming), true, 404),
        (with(Transport::JsonpPolling), true, 404),
    ] {
        let (server, _) = start(|options| (options.transports, options.iframe) = (transports, iframe));
        assert_eq!(ask(&server, "GET", "/chat/iframe.html", "").status, status, "{transports:?} {iframe}");
    }
}

#[test]
fn what_is_echoed_is_short() {
    let (server, _) = start(|_| {});
    let fields = |length: usize| {
        let text = "a".repeat(length);
        format!("Origin: {text}\r\nAccess-Control-Request-Headers: {text}\r\n")
    };
    let answer = ask(&server, "OPTIONS", "/chat/0/a/xhr", &fields(1024));
    assert_eq!(answer.header("Access-Control-Allow-Headers").map(str::len), Some(1024));
    let answer = ask(&server, "OPTIONS", "/chat/0/a/xhr", &fields(1025));
    assert_eq!(answer.header("Access-Control-Allow-Headers"), None);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
}
