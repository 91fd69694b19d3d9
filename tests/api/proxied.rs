//! Clients behind proxies: who they are, and who is believed.

use std::net::{IpAddr, TcpListener};
use std::sync::mpsc;

use sockjs_server::{Event, Preamble, Response, ServerOptions};

use crate::support::client::Client;
use crate::support::{PATIENCE, TestServer};

/// Rule 12.16: an IPv4 client of a `[::]` listener has an IPv4 address, wherever it is told.
#[test]
fn addresses_are_canonical() {
    // An IPv6 socket that sees IPv4 clients as one on `[::]` does, and can be reached from this machine alone.
    let listener = match TcpListener::bind("[::ffff:127.0.0.1]:0") {
        Ok(listener) => listener,
        Err(error) => return println!("not tested, since there is no IPv6 here: {error}"),
    };
    let port = listener.local_addr().expect("address").port();
    let (told, heard) = mpsc::channel();
    let _server = TestServer::start(ServerOptions::default(), |server| {
        server.add_listener(listener, Preamble::None).expect("listen");
        server.observe(move |event| {
            if let Event::Accepted { peer } | Event::Refused { peer, .. } = event {
                told.send(*peer).expect("the test listens");
            }
        });
        server.fallback(|_, request, _| {
            Response::new(200).body(format!("{:?} {:?}", request.peer(), request.client()))
        });
    });
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    let own = client.stream.local_addr().expect("address");
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(Some(own)), "accepted");
    assert_eq!(client.ask("GET", "/", "", b"").text(), format!("Some({own}) Some({})", own.ip()));
    client.send("GET\r\n\r\n").head();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(Some(own)), "refused");
}

/// Three ways to write one address: as a proxy names it, the client's is always the same.
#[test]
fn a_client_has_one_form_whoever_names_it() {
    let (_server, address) = who(&["127.0.0.1"], Preamble::None);
    for named in ["198.51.100.1", "::ffff:198.51.100.1", "[::ffff:198.51.100.1]:4711", "::FFFF:c633:6401"] {
        let fields = format!("X-Forwarded-For: {named}\r\n");
        let answer = Client::connect(address).ask("GET", "/", &fields, b"");
        assert_eq!(answer.text().split(' ').next(), Some("198.51.100.1"), "{named}");
    }
    let (_server, address) = who(&["::ffff:127.0.0.1"], Preamble::None);
    let answer = Client::connect(address).ask("GET", "/", "X-Forwarded-For: 198.51.100.1\r\n", b"");
    assert_eq!(answer.text().split(' ').next(), Some("198.51.100.1"), "a network is canonical too");
}

/// A server that answers with what it knows of the client.
fn who(trusted: &[&str], preamble: Preamble) -> (TestServer, std::net::SocketAddr) {
    let mut options = ServerOptions::default();
    options.trusted_proxies = trusted.iter().map(|text| text.parse().expect("a network")).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let server = TestServer::start(options, |server| {
        server.add_listener(listener, preamble).expect("listen");
        server.fallback(|_, request, _| {
            let client = request.client().map_or("nobody".to_owned(), |client| client.to_string());
            let port = request.peer().map_or(0, |peer| peer.port());
            Response::new(200).body(format!("{client} {port} {}", request.is_https()))
        });
    });
    (server, address)
}

#[test]
fn forwarded_headers_are_believed_from_trusted_proxies_alone() {
    let fields = "X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\nX-Forwarded-Proto: https\r\n";
    for (trusted, expected, https) in [
        (&["127.0.0.0/8"][..], "198.51.100.1", "true"),
        (&["10.0.0.0/8"], "127.0.0.1", "false"),
        // What the client said in front of its proxy.
        (&["127.0.0.0/8", "198.51.100.1"], "6.6.6.6", "true"),
        (&[], "127.0.0.1", "false"),
    ] {
        let (_server, address) = who(trusted, Preamble::None);
        let answer = Client::connect(address).ask("GET", "/", fields, b"");
        let words: Vec<&str> = answer.text().split(' ').collect();
        assert_eq!((words[0], words[2]), (expected, https), "{trusted:?}");
    }
}

#[test]
fn a_proxy_header_names_the_client_and_its_first_request_may_follow_at_once() {
    let (server, address) = who(&[], Preamble::Proxy);
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (header, expected) in [
        ("PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n", "203.0.113.9 4711 false"),
        ("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n", "2001:db8::1 4711 false"),
        ("PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 80\r\n", "203.0.113.9 4711 false"),
    ] {
        let mut together = Client::connect(address);
        together.send(format!("{header}{request}"));
        let mut apart = Client::connect(address);
        for byte in header.bytes() {
            apart.send([byte]);
        }
        apart.send(request);
        for mut client in [together, apart] {
            assert_eq!(client.answer().text(), expected);
        }
    }
    let mut unknown = Client::connect(address);
    let own = unknown.stream.local_addr().expect("address");
    unknown.send(format!("PROXY UNKNOWN\r\n{request}"));
    assert_eq!(unknown.answer().text(), format!("{} {} false", own.ip(), own.port()));

    let before = server.counters().refused.malformed;
    let mut liar = Client::connect(address);
    liar.send(request);
    liar.expect_end();
    assert_eq!(server.counters().refused.malformed, before + 1);
}

#[test]
fn on_open_knows_the_client_too() {
    struct Tell(mpsc::Sender<Option<IpAddr>>);
    impl sockjs_server::Handler for Tell {
        fn on_open(&mut self, _: &mut sockjs_server::Session<'_>, request: &sockjs_server::Request<'_>) {
            self.0.send(request.client()).expect("the test listens");
        }
        fn on_message(&mut self, _: &mut sockjs_server::Session<'_>, _: &str) {}
    }
    let (told, heard) = mpsc::channel();
    let mut options = ServerOptions::default();
    options.trusted_proxies.push("127.0.0.1".parse().expect("a network"));
    let server = TestServer::start(options, |server| {
        server.mount("/tell", Tell(told)).expect("mount");
    });
    Client::connect(server.address).ask("POST", "/tell/0/s/xhr", "X-Forwarded-For: 2001:db8::7\r\n", b"");
    let client = heard.recv_timeout(PATIENCE).expect("a session opens");
    assert_eq!(client, Some("2001:db8::7".parse().expect("an address")));
}
