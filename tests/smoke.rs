//! The shortest way through the whole server, over every door: if this fails, look here first.

mod support;

use support::TestServer;
use support::client::Client;

#[test]
fn polling_opens_echoes_and_is_told_the_close() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("GET", "/echo", "", b"").text(), "Welcome to SockJS!\n");
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    assert_eq!(client.ask("POST", "/echo/000/s/xhr_send", "", br#"["a","b"]"#).status, 204);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "a[\"a\",\"b\"]\n");
    assert_eq!(client.ask("POST", "/close/000/s/xhr", "", b"").text(), "o\n");
    assert_eq!(client.ask("POST", "/close/000/s/xhr", "", b"").text(), "c[3000,\"Go away!\"]\n");
    let counters = server.counters();
    assert_eq!((counters.opened, counters.closed, counters.messages_in), (2, 1, 2));
}
