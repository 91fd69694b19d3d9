//! Section 1: which paths there are, and with which methods.

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::frames::HANDSHAKE;
use crate::support::receiver::Receiver;
use crate::support::target::Target;
use crate::support::wire::Transport;

pub const RULES: &[Rule] = &[
    rule("1", "P and P/ greet: 200, text/plain, `Welcome to SockJS!` and a line feed, no cookie", greeting),
    rule("1", "everything else under the prefix is 404: P//, P/a, P/a/a/, P/a.html ...", not_found),
    rule("1", "matching is on the raw path and case-sensitive: P/INFO and P/%69nfo are 404", raw_path),
    rule("1", "the query is ignored, on every path", query_ignored),
    rule("1", "one trailing slash after a known path is tolerated, two are not", trailing_slash),
    rule("1", "server and session are any non-empty text without `.` and `/`", session_names),
    rule("1", "an empty server or session, or one with a dot, is 404", session_names_refused),
    rule("1", "the server part is ignored: a session is its id alone", server_part_ignored),
    rule("1", "the paths of a disabled transport are 404", disabled_transport),
    rule(
        "1",
        "a known path with another method is 405 with Allow, an empty body and no Content-Type",
        other_methods,
    ),
    rule("1", "HEAD is answered where GET is, with the same headers and no body", head),
    rule("1", "HEAD touches no session: it neither creates one nor takes its messages", head_touches_nothing),
    rule("1", "jsonp and htmlfile take `callback=` for `c=`", callback_parameter),
    here("1", "a prefix may be empty, or have several segments", prefixes),
    here("1", "paths under no prefix are 404 if the program has no answer to them", under_no_prefix),
];

fn greeting(target: &Target) {
    for endpoint in ["/echo", "/close", "/cookie_needed_echo", "/disabled_websocket_echo"] {
        for path in [endpoint.to_owned(), format!("{endpoint}/")] {
            target
                .get(&path)
                .expect(200)
                .expect_header("Content-Type", "text/plain; charset=UTF-8")
                .expect_header("Set-Cookie", None)
                .expect_body("Welcome to SockJS!\n");
        }
    }
}

fn not_found(target: &Target) {
    let below = [
        "//",
        "///",
        "/a",
        "/a/",
        "/a.html",
        "/a/a",
        "/a/a/",
        "/a/a/a",
        "/a/a/a/a",
        "/a/a/xhr/a",
        "/a/xhr",
        "/xhr",
        "//a/xhr",
        "/info.html",
        "/info/a",
        "/websocket/a",
        "/iframe",
        "/iframe.htm",
        "/iframe.HTML",
        "/IFRAME.html",
        "/iframe-/.html",
        "/iframe-(.html",
        "/iframe%20.html",
        "/iframe-A.html",
        "/iframe.html.",
        "/a/a/jsonp_send/a",
        "/a/a/xhr_",
        "/a/a/XHR",
        "/a/a/xhr.",
        "/.",
        "/..",
        "/../echo",
    ];
    for below in below {
        let answer = target.get(&format!("/echo{below}"));
        assert_eq!(answer.status, 404, "GET P{below}: {}", answer.head);
        let answer = target.post(&format!("/echo{below}"), "");
        assert_eq!(answer.status, 404, "POST P{below}: {}", answer.head);
    }
}

fn raw_path(target: &Target) {
    for below in ["/INFO", "/Info", "/%69nfo", "/a%2fa%2fxhr", "/a/a%2fxhr", "/a/a/%78hr", "/iframe%2ehtml"] {
        let answer = target.post(&format!("/echo{below}"), "");
        assert_eq!(answer.status, 404, "P{below}: {}", answer.head);
    }
    target.post(&target.session("/ECHO"), "").expect(404);
}

fn query_ignored(target: &Target) {
    target.get("/echo?a=b").expect(200).expect_body("Welcome to SockJS!\n");
    target.get("/echo/info?t=1&t=/xhr").expect(200);
    target.get("/echo/iframe.html?t=12").expect(200);
    let session = target.session("/echo");
    target.post(&format!("{session}/xhr?t=a/b"), "").expect(200).expect_body("o\n");
    target.post(&format!("{session}/xhr_send?"), r#"["x"]"#).expect(204);
    target.post(&format!("{session}/xhr?/c/d/info"), "").expect(200).expect_body("a[\"x\"]\n");
}

fn trailing_slash(target: &Target) {
    target.get("/echo/info/").expect(200);
    target.get("/echo/iframe.html/").expect(200);
    let session = target.session("/echo");
    target.post(&format!("{session}/xhr/"), "").expect(200).expect_body("o\n");
    target.post(&format!("{session}/xhr_send/"), r#"["x"]"#).expect(204);
    for path in ["/info//", "/iframe.html//", "/a/b/xhr//"] {
        target.post(&format!("/echo{path}"), "").expect(404);
    }
}

fn session_names(target: &Target) {
    let id = crate::support::target::fresh_id();
    let names =
        ["a", "_", "1", "abcdefgh_i-j%20", "%2e%2E", "!$&'()*+,;=:@~", "websocket", "info", "iframe", "-"];
    for name in names {
        let session = format!("/echo/{name}/{name}{id}");
        target.post(&format!("{session}/xhr"), "").expect(200).expect_body("o\n");
    }
}

fn session_names_refused(target: &Target) {
    for part in
        ["", "/", "//", "///", "/a./a", "/a/a.", "/./.", "/a//", "//a", "/a.b/c", "/a/b.c", "/../a", "/a/.."]
    {
        for suffix in ["/xhr", "/xhr_streaming", "/xhr_send"] {
            let answer = target.post(&format!("/echo{part}{suffix}"), "[]");
            assert_eq!(answer.status, 404, "P{part}{suffix}: {}", answer.head);
        }
        for suffix in ["/eventsource", "/htmlfile?c=a", "/jsonp?c=a"] {
            let answer = target.get(&format!("/echo{part}{suffix}"));
            assert_eq!(answer.status, 404, "P{part}{suffix}: {}", answer.head);
        }
    }
    target.ask("GET", "/echo/a./a/websocket", HANDSHAKE, b"").expect(404);
}

fn server_part_ignored(target: &Target) {
    let id = crate::support::target::fresh_id();
    assert_eq!(target.poll(&format!("/echo/000/{id}")), "o");
    target.send(&format!("/echo/999/{id}"), r#"["a"]"#);
    assert_eq!(target.poll(&format!("/echo/other/{id}")), r#"a["a"]"#);
}

fn disabled_transport(target: &Target) {
    for path in ["/websocket", "/000/abc/websocket"] {
        target.ask("GET", &format!("/disabled_websocket_echo{path}"), HANDSHAKE, b"").expect(404);
    }
    let session = target.opened("/disabled_websocket_echo");
    target.send(&session, r#"["a"]"#);
    assert_eq!(target.poll(&session), r#"a["a"]"#);
}

/// Each path with what it answers to: the methods of section 1's table, and HEAD beside GET.
const METHODS: [(&str, &[&str]); 11] = [
    ("", &["GET", "HEAD"]),
    ("/", &["GET", "HEAD"]),
    ("/info", &["GET", "HEAD", "OPTIONS"]),
    ("/iframe.html", &["GET", "HEAD"]),
    ("/a/SESSION/xhr", &["POST", "OPTIONS"]),
    ("/a/SESSION/xhr_streaming", &["POST", "OPTIONS"]),
    ("/a/SESSION/xhr_send", &["POST", "OPTIONS"]),
    ("/a/SESSION/eventsource", &["GET", "HEAD"]),
    ("/a/SESSION/htmlfile?c=x", &["GET", "HEAD"]),
    ("/a/SESSION/jsonp?c=x", &["GET", "HEAD"]),
    ("/a/SESSION/jsonp_send", &["POST"]),
];

fn other_methods(target: &Target) {
    for (below, known) in METHODS {
        let path = format!("/echo{}", below.replace("SESSION", &crate::support::target::fresh_id()));
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if known.contains(&method) {
                continue;
            }
            let answer = target.ask(method, &path, "", b"");
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.head);
            let allow =
                answer.header("Allow").unwrap_or_else(|| panic!("{method} {path}: no Allow")).to_owned();
            for allowed in known {
                assert!(
                    allow.split(", ").any(|it| it == *allowed),
                    "{allowed} is not in Allow: {allow} ({path})"
                );
            }
            answer.expect_header("Content-Type", None).expect_body("");
        }
    }
}

fn head(target: &Target) {
    for (below, known) in METHODS {
        if !known.contains(&"HEAD") {
            continue;
        }
        let path = format!("/echo{}", below.replace("SESSION", &crate::support::target::fresh_id()));
        let mut connection = target.connect();
        let head = connection.ask("HEAD", &path, "", b"").expect(200);
        let got = target.connect().request("GET", &path, "", b"").head().expect(200);
        assert_eq!(head.header("Content-Type"), got.header("Content-Type"), "Content-Type of {path}");
        assert_eq!(head.header("Cache-Control"), got.header("Cache-Control"), "Cache-Control of {path}");
        // A body would stand before this answer.
        connection.ask("GET", "/echo", "", b"").expect(200);
    }
}

fn head_touches_nothing(target: &Target) {
    for path in ["/eventsource", "/htmlfile?c=x", "/jsonp?c=x"] {
        let session = target.session("/echo");
        target.ask("HEAD", &format!("{session}{path}"), "", b"").expect(200);
        target.post(&format!("{session}/xhr_send"), "[]").expect(404);
        assert_eq!(target.poll(&session), "o");
        target.send(&session, r#"["kept"]"#);
        target.ask("HEAD", &format!("{session}{path}"), "", b"").expect(200);
        assert_eq!(target.poll(&session), r#"a["kept"]"#);
    }
}

fn callback_parameter(target: &Target) {
    let session = target.session("/echo");
    target.get(&format!("{session}/jsonp?callback=cb")).expect(200).expect_body("/**/cb(\"o\");\r\n");
    let path = format!("{}/htmlfile?callback=cb", target.session("/echo"));
    let mut connection = target.connect();
    connection.request("GET", &path, "", b"").head().expect(200);
    let prelude = connection.chunk().expect("a prelude");
    assert!(String::from_utf8_lossy(&prelude).contains("var c = parent.cb;\n"));
}

fn prefixes() {
    for (prefix, base) in [("", ""), ("/", ""), ("/a/b/c/echo", "/a/b/c/echo"), ("/slash/", "/slash")] {
        let server = TestServer::start(ServerOptions::default(), |server| {
            server
                .mount(prefix, |session: &mut Session<'_>, text: &str| session.send(text).expect("room"))
                .expect("mount");
        });
        let target = Target::at(server.address);
        target.get(&format!("{base}/")).expect(200).expect_body("Welcome to SockJS!\n");
        target.get(&format!("{base}/info")).expect(200);
        let session = target.session(base);
        let mut receiver = Receiver::open(&target, Transport::XhrStreaming, &session);
        assert_eq!(receiver.frame(), "o");
        target.send(&session, r#"["a"]"#);
        assert_eq!(receiver.frame(), r#"a["a"]"#);
        assert_eq!(target.websocket(&format!("{session}/websocket")).text(), "o");
    }
}

fn under_no_prefix() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let options = EndpointOptions::default();
        server.mount_with("/a/echo", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let target = Target::at(server.address);
    for path in [
        "/",
        "/a",
        "/a/",
        "/echo",
        "/a/echoes",
        "/a/ech",
        "//a/echo",
        "/a//echo",
        "/A/echo",
        "/a/echo%2finfo",
    ] {
        let answer = target.get(path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.head);
    }
    target.get("/a/echo").expect(200);
}
