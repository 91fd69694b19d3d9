//! A server with nothing to do sleeps until something happens or is due: a turn is one system call to sleep, so turns
//! are what is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sockjs_server::{Endpoint, Handler, Server, ServerOptions, Session};

use crate::support::sockjs::SockJs;
use crate::support::turn_until;
use crate::support::websocket::WebSocket;

/// Sets a timer, and says how many turns passed until it ran out.
struct Watch {
    turns: Arc<AtomicUsize>,
    since: usize,
}

impl Handler for Watch {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        self.since = self.turns.load(Ordering::SeqCst);
        session.endpoint().set_timer(0, Duration::from_millis(text.parse().expect("milliseconds")));
    }

    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_>, _: u32) {
        let turns = self.turns.load(Ordering::SeqCst) - self.since;
        endpoint.broadcast(&turns.to_string());
    }
}

#[test]
fn nothing_is_due_without_connections() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    server.mount("/echo", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    server.turn(Some(Duration::ZERO)).expect("turn");
    assert_eq!(server.next_timeout(), None);

    // With a session it is the heartbeat; and nothing again when that has gone.
    let client = thread::spawn(move || WebSocket::raw(address, "/echo"));
    turn_until(&mut server, |server| server.counters().opened > 0);
    let socket = client.join().expect("the client");
    server.turn(Some(Duration::ZERO)).expect("turn");
    let next = server.next_timeout().expect("a heartbeat is due");
    assert!(next > Duration::from_secs(5) && next <= Duration::from_secs(25), "{next:?}");
    drop(socket);
    turn_until(&mut server, |server| server.counters().connections == 0);
    assert_eq!(server.next_timeout(), None);
    assert_eq!(server.counters().timers, 0);
}

#[test]
fn an_idle_server_sleeps_until_the_next_deadline() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    let turns = Arc::new(AtomicUsize::new(0));
    server.mount("/watch", Watch { turns: Arc::clone(&turns), since: 0 }).expect("mount");
    let handle = server.handle();
    let looping = thread::spawn(move || {
        while server.report().is_none() {
            server.turn(None).expect("turn");
            turns.fetch_add(1, Ordering::SeqCst);
        }
    });

    let mut polling: Vec<_> =
        (0..5).map(|number| SockJs::polling(address, "/watch", &format!("s{number}"))).collect();
    polling.iter_mut().for_each(|polling| _ = polling.listen());
    let mut socket = WebSocket::raw(address, "/watch");
    for milliseconds in ["400", "37", "1"] {
        let turns: usize = socket.send(milliseconds).text().parse().expect("a number");
        for polling in &mut polling {
            assert_eq!(polling.frame(), format!("a[\"{turns}\"]"));
            polling.listen();
        }
        // The turn that set it, and a wake for what the sockets had to say about being open.
        assert!(turns <= 3, "{turns} turns in {milliseconds} ms of silence");
    }
    drop((polling, socket));
    handle.shutdown();
    looping.join().expect("the loop");
}
