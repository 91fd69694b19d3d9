//! More than one process behind HAProxy and nginx, with the configurations that the guide shows, and the chat that
//! Redis carries between processes. The programs run for real, as children of the test; one that is not installed skips
//! its tests, and says so.
//!
//! `cargo build --examples && cargo test --test proxies -- --ignored`

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod daemons;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use daemons::{Program, Proxy, free_addresses};
use support::PATIENCE;
use support::client::Client;
use support::sockjs::{Event, SockJs};
use support::wire::{HTTP, Transport};

/// A proxy before two processes of `sockjs-echo`.
struct Site {
    address: SocketAddr,
    addresses: [SocketAddr; 2],
    processes: [Program; 2],
    _proxy: Program,
}

impl Site {
    fn start(proxy: Proxy) -> Option<Self> {
        let [address, one, two] = free_addresses();
        let addresses = [one, two];
        let processes = addresses.map(echo);
        Some(Self { address, addresses, processes, _proxy: proxy.start(address, addresses)? })
    }

    /// Opens a session, and says at which process it is.
    fn open_somewhere(&self, transport: Transport, endpoint: &str, server: &str) -> (SockJs, usize) {
        let sock = open(self.address, transport, endpoint, server);
        let start = Instant::now();
        loop {
            if let Some(at) = self.processes.iter().position(|process| process.has_printed("opened")) {
                return (sock, at);
            }
            assert!(start.elapsed() < PATIENCE, "no process has it");
            std::thread::yield_now();
        }
    }

    /// Opens sessions, each with another `{server}`, until each process has one; those of
    /// the first, those of the second.
    fn open_at_both(
        &self,
        transport: Transport,
        endpoint: &str,
        server: impl Fn(usize) -> String,
    ) -> [SockJs; 2] {
        let mut found = [None, None];
        for number in 0..200 {
            let (sock, at) = self.open_somewhere(transport, endpoint, &server(number));
            found[at] = Some(sock);
            if let [Some(_), Some(_)] = found {
                return found.map(|sock| sock.expect("both"));
            }
        }
        panic!("{transport:?}: one process got all sessions");
    }
}

/// Opens a session through the proxy.
fn open(proxy: SocketAddr, transport: Transport, endpoint: &str, server: &str) -> SockJs {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let session = format!("session{}", NEXT.fetch_add(1, Ordering::Relaxed));
    SockJs::open_proxied(proxy, transport, &format!("{endpoint}/{server}/{session}"))
}

fn echo(address: SocketAddr) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockjs-echo"));
    command.args(["--verbose", "--listen", &address.to_string()]);
    let program = Program::start(&mut command).expect("cargo has built it");
    program.wait_for_line("Listening");
    program
}

/// Messages with whatever a transport must encode.
fn message(number: usize) -> String {
    format!("{number} ü 100%25 </script> \u{2028} \"\\ 🙂")
}

/// The first one alone: it must arrive before anything follows. The others by fifty.
fn exchange(sock: &mut SockJs, count: usize) {
    let messages: Vec<String> = (0..count).map(message).collect();
    let (first, others) = messages.split_at(1);
    for batch in [first].into_iter().chain(others.chunks(50)) {
        sock.send(batch);
        for message in batch {
            sock.expect(message);
        }
    }
}

/// Streams are not held back, upgrades pass, and a session's requests all find their process, whatever `{server}` is.
fn everything_passes(proxy: Proxy) {
    let Some(site) = Site::start(proxy) else { return };
    for transport in Transport::ALL {
        for mut sock in site.open_at_both(transport, "/echo", |number| format!("{number:03}")) {
            exchange(&mut sock, 1000);
        }
    }
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn everything_passes_haproxy() {
    everything_passes(Proxy::HaProxy);
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn everything_passes_nginx() {
    everything_passes(Proxy::Nginx);
}

/// With one `{server}` for all, only `JSESSIONID` can keep a session's requests together.
fn cookies_keep_sessions_together(proxy: Proxy) {
    let Some(site) = Site::start(proxy) else { return };
    for transport in HTTP {
        for mut sock in site.open_at_both(transport, "/cookie_needed_echo", |_| "000".to_owned()) {
            assert!(sock.has_cookie());
            exchange(&mut sock, 200);
        }
    }
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn cookies_keep_sessions_together_haproxy() {
    cookies_keep_sessions_together(Proxy::HaProxy);
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn cookies_keep_sessions_together_nginx() {
    cookies_keep_sessions_together(Proxy::Nginx);
}

/// A process is stopped by SIGTERM: its clients hear it and find another one at once; the others notice nothing. When
/// it is back, it gets sessions again.
fn a_process_is_replaced(proxy: Proxy) {
    let Some(mut site) = Site::start(proxy) else { return };
    let (mut leaving, mut staying): (Vec<SockJs>, Vec<SockJs>) = Transport::ALL
        .into_iter()
        .map(|transport| site.open_at_both(transport, "/echo", |number| format!("{number:03}")))
        .map(|[first, second]| (first, second))
        .unzip();
    for sock in leaving.iter_mut().chain(&mut staying) {
        exchange(sock, 10);
        sock.listen();
    }

    site.processes[0].signal("TERM");
    for sock in &mut leaving {
        match sock.next() {
            Event::Closed(1001, reason) => assert_eq!(reason, "Server shutdown", "{:?}", sock.transport),
            // Its poll came too late, and another process answered it.
            Event::Closed(1006, _)
                if matches!(sock.transport, Transport::XhrPolling | Transport::JsonpPolling) => {}
            event => panic!("{:?}: {event:?}", sock.transport),
        }
    }
    // The proxy keeps its side of nothing open that would hold the process back.
    drop(leaving);
    let [stopped, other] = site.processes;
    assert!(stopped.wait().success());
    for sock in &mut staying {
        exchange(sock, 10);
    }
    for transport in Transport::ALL {
        for number in 0..10 {
            let mut sock = open(site.address, transport, "/echo", &format!("{number:03}"));
            exchange(&mut sock, 10);
        }
    }

    site.processes = [echo(site.addresses[0]), other];
    let start = Instant::now();
    for number in 0.. {
        let (mut sock, at) = site.open_somewhere(Transport::WebSocket, "/echo", &format!("{number:03}"));
        exchange(&mut sock, 2);
        if at == 0 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it gets no sessions");
    }
    for sock in staying
        .iter_mut()
        .filter(|sock| matches!(sock.transport, Transport::WebSocket | Transport::RawWebSocket))
    {
        exchange(sock, 10);
    }
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn a_process_is_replaced_haproxy() {
    a_process_is_replaced(Proxy::HaProxy);
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn a_process_is_replaced_nginx() {
    a_process_is_replaced(Proxy::Nginx);
}

/// A client that leaves while its poll waits is noticed through the proxy: the session closes as if there were none
/// (rule 7.6).
fn a_lost_client_is_noticed(proxy: Proxy) {
    let Some(site) = Site::start(proxy) else { return };
    let poll = |client: &mut Client| client.ask("POST", "/echo/000/lost/xhr", "", b"").text().to_owned();
    let mut one = Client::connect(site.address);
    let mut two = Client::connect(site.address);
    assert_eq!(poll(&mut one), "o\n");
    // Of two polls one is told that the other waits: then it does.
    for client in [&mut one, &mut two] {
        client.request("POST", "/echo/000/lost/xhr", "", b"");
    }
    let start = Instant::now();
    while one.is_quiet() && two.is_quiet() {
        assert!(start.elapsed() < PATIENCE, "both wait");
        std::thread::yield_now();
    }
    let (waiting, mut refused) = if one.is_quiet() { (one, two) } else { (two, one) };
    assert_eq!(refused.answer().text(), "c[2010,\"Another connection still open\"]\n");
    drop(waiting);
    loop {
        match poll(&mut refused).as_str() {
            "c[2010,\"Another connection still open\"]\n" => {
                assert!(start.elapsed() < PATIENCE, "nobody noticed");
            }
            closed => {
                assert_eq!(closed, "c[1002,\"Connection interrupted\"]\n");
                return;
            }
        }
    }
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn a_lost_client_is_noticed_haproxy() {
    a_lost_client_is_noticed(Proxy::HaProxy);
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn a_lost_client_is_noticed_nginx() {
    a_lost_client_is_noticed(Proxy::Nginx);
}
