//! Bodies (RFC 9112 §6, §7): put together however they are cut, consumed wherever they come, never read as requests.

use sockjs_server::{EndpointOptions, Response, ServerOptions};

use crate::support::client::Client;
use crate::support::recorder::recorder;
use crate::support::{TestServer, endpoints};
use crate::{GREETING, LAST, conversation, statuses, without_date};

/// Rule 12.3: how bytes are cut into packets never matters.
#[test]
fn a_request_cut_anywhere_gets_the_same_answer() {
    let requests = [
        LAST.to_owned(),
        format!("\r\n\r\nOPTIONS /echo/info HTTP/1.1\r\nHost: a\r\nOrigin: b\r\n\r\n{LAST}"),
        "POST /echo/0/unknown/xhr_send HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n[\"x\"]"
            .to_owned(),
        "POST /echo/0/unknown/jsonp_send HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\n[\"\r\n3\r\nx\"]\r\n0\r\nTrailer: value\r\n\r\n"
            .to_owned(),
        format!("GET /echo HTTP/1.1\r\nHost: a\r\nBad : field\r\n\r\n{LAST}"),
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n{LAST}"),
    ];
    let server = TestServer::echo();
    for request in requests {
        let whole = conversation(&server, &request);
        for cut in 1..request.len() {
            let mut client = Client::connect(server.address);
            server.feed(&mut client, request.as_bytes(), [cut]);
            assert_eq!(without_date(client.rest()), whole, "cut at {cut}: {request:?}");
        }
        let mut client = Client::connect(server.address);
        server.feed(&mut client, request.as_bytes(), 1..request.len());
        assert_eq!(without_date(client.rest()), whole, "byte by byte: {request:?}");
    }
}

/// Rule 12.3, and that of the chunks (rule 10, §7.1): the message is the same too.
#[test]
fn a_body_cut_anywhere_is_the_same_message() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    let request = "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   4;a=b\r\n[\"\u{e9}\r\n2\r\n\"]\r\n0\r\nTrailer: value\r\n\r\n";
    for cut in 1..request.len() {
        server.feed(&mut client, request.as_bytes(), [cut]);
        assert_eq!(client.answer().status, 204, "cut at {cut}");
        assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "a[\"é\"]\n", "cut at {cut}");
    }
}

/// Rule 12.2: every body is consumed, or the connection closes. Here each body is a request that must not be
/// taken for one.
#[test]
fn a_body_is_never_read_as_a_request() {
    let mut options = EndpointOptions::default();
    options.origins = vec!["https://friend.example".to_owned()];
    let server = TestServer::start(ServerOptions::default(), |server| {
        endpoints::mount(server, &EndpointOptions::default()).expect("mount");
        server.mount_with("/friends", options, recorder().0).expect("mount");
        server.fallback(|_, request, body| match request.path() {
            "/panic" => panic!("on purpose"),
            _ => Response::new(200).body(body.to_vec()),
        });
    });
    let smuggled = "POST /echo/000/smuggled/xhr HTTP/1.1\r\nHost: a\r\n\r\n";
    let etag = Client::connect(server.address).ask("GET", "/echo/iframe.html", "", b"");
    let etag = format!("If-None-Match: {}\r\n", etag.header("ETag").expect("an ETag"));
    for (method, target, headers, status) in [
        ("POST", "/other", "", 200),
        ("POST", "/panic", "", 500),
        ("POST", "/echo/nowhere", "", 404),
        ("POST", "/echo/000/s./xhr", "", 404),
        ("POST", "/echo/000/unknown/xhr_send", "", 404),
        ("POST", "/echo/000/unknown/jsonp_send", "", 404),
        ("GET", "/disabled_websocket_echo/websocket", "", 404),
        ("POST", "/echo", "", 405),
        ("PUT", "/echo/000/s/xhr", "", 405),
        ("DELETE", "/echo/info", "", 405),
        ("POST", "/echo/000/s/eventsource", "", 405),
        ("POST", "/echo/websocket", "", 405),
        ("GET", "/echo", "", 200),
        ("HEAD", "/echo", "", 200),
        ("GET", "/echo/info", "", 200),
        ("GET", "/echo/iframe.html", "", 200),
        ("GET", "/echo/iframe.html", &etag, 304),
        ("OPTIONS", "/echo/info", "", 204),
        ("OPTIONS", "/echo/000/s/xhr", "", 204),
        ("GET", "/echo/websocket", "", 400),
        ("GET", "/echo/000/s/websocket", "", 400),
        ("GET", "/echo/000/s/jsonp", "", 500),
        ("GET", "/echo/000/s/htmlfile?c=%00", "", 500),
        ("GET", "/friends/info", "Origin: https://foe.example\r\n", 403),
        ("POST", "/friends/000/s/xhr", "Origin: https://foe.example\r\n", 403),
        ("POST", "/close/000/known/xhr", "", 200),
        ("POST", "/close/000/known/xhr_send", "", 500),
        ("POST", "/close/000/known/jsonp_send", "", 500),
    ] {
        for (framing, body) in [
            (format!("Content-Length: {}", smuggled.len()), smuggled.to_owned()),
            (
                "Transfer-Encoding: chunked".to_owned(),
                format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
            ),
        ] {
            let mut client = Client::connect(server.address);
            client.send(format!(
                "{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}{framing}\r\n\r\n{body}{LAST}"
            ));
            let answer = client.answer_to(method);
            assert_eq!(answer.status, status, "{method} {target} {framing}");
            let rest = without_date(client.rest());
            assert!(rest.is_empty() || rest.ends_with(GREETING), "{method} {target}: {rest}");
            assert!(statuses(&rest).len() <= 1, "{method} {target}: {rest}");
        }
    }
    assert_eq!(server.counters().opened, 1, "the one of /close");
}

/// Rule 12.2: an incomplete request has no effect.
#[test]
fn a_request_that_does_not_end_has_no_effect() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    for request in [
        "POST /echo/000/new/xhr HTTP/1.1\r\nHost: a\r\n",
        "POST /echo/000/new/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n[\"x\"]",
        "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[\"x\"]\r\n",
        "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[\"x\"]\r\n0\r\n",
    ] {
        let mut half = Client::connect(server.address);
        half.send(request).hang_up();
        half.expect_end();
    }
    let counters = server.counters();
    assert_eq!((counters.opened, counters.messages_in, counters.requests), (1, 0, 1));
}
