//! The server's process is stopped for longer than its waits, and continues: no client is judged silent before the
//! server has read what arrived meanwhile (rule 12.12).

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{Close, EndpointOptions, Handler, Server, ServerOptions, Session};

use crate::SECOND;
use crate::child::{Process, tell};
use crate::support::client::{Answer, Client};

const DISCONNECT_DELAY: Duration = SECOND;
const HEAD_TIMEOUT: Duration = SECOND;
const STOP: Duration = Duration::from_millis(1500);

/// How long after its first byte a head is completed.
const COMPLETED: Duration = Duration::from_millis(400);

/// Servers at once, and rounds of each.
const SERVERS: usize = 5;
const ROUNDS: usize = 4;

/// Clients of each kind in a round.
const CLIENTS: usize = 8;

/// A handler that tells the parent of every session that closes.
struct Teller(&'static str);

impl Handler for Teller {
    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        tell(&format!("closed {} {:?}", self.0, close.cause));
    }
}

/// The server's process. A poll that finds its session alive is soon answered with a heartbeat; a poll that does not
/// opens a new session, and is answered with an open frame.
pub fn serve(address: SocketAddr) {
    let mut options = ServerOptions::default();
    options.head_timeout = HEAD_TIMEOUT;
    let mut server = Server::new(options).expect("a server");
    let address = server.listen(address).expect("the address is free");
    let mut options = EndpointOptions::default();
    options.heartbeat_delay = Duration::from_millis(100);
    options.disconnect_delay = DISCONNECT_DELAY;
    server.mount_with("/polled", options.clone(), Teller("polled")).expect("mount");
    server.mount_with("/silent", options, Teller("silent")).expect("mount");
    tell(&format!("listening {address}"));
    server.run().expect("run");
}

/// The answers to clients that were lost in a round.
#[derive(Default)]
struct Losses {
    /// Polls on connections that were there before.
    kept: Vec<String>,
    /// Polls on new connections.
    fresh: Vec<String>,
    heads: Vec<String>,
    /// The number of sessions that have not ended, although their clients did not come back.
    immortal: usize,
}

#[test]
fn nobody_is_lost_by_a_server_that_was_stopped() {
    let losses: Vec<Losses> = thread::scope(|scope| {
        let servers: Vec<_> = (0..SERVERS)
            .map(|number| {
                scope.spawn(move || {
                    let (server, address) = Process::serve(None, "stopped-server", "127.0.0.1:0");
                    let rounds = (0..ROUNDS).map(|round| round * SERVERS + number);
                    rounds.map(|round| play(&server, address, round)).collect::<Vec<_>>()
                })
            })
            .collect();
        servers.into_iter().flat_map(|server| server.join().expect("no panic")).collect()
    });
    let each = SERVERS * ROUNDS * CLIENTS;
    let all = |lost: fn(&Losses) -> &Vec<String>| losses.iter().flat_map(lost).collect::<Vec<_>>();
    let (kept, fresh) = (all(|losses| &losses.kept), all(|losses| &losses.fresh));
    let heads = all(|losses| &losses.heads);
    let immortal: usize = losses.iter().map(|losses| losses.immortal).sum();
    println!(
        "stopped: lost {} of {each} polls on kept connections, {} of {each} on new ones",
        kept.len(),
        fresh.len()
    );
    println!("stopped: lost {} of {each} heads; {immortal} silent sessions did not end", heads.len());
    let first = |lost: &[&String]| lost.first().map(|lost| lost.to_string());
    let shown = (first(&kept), first(&fresh), first(&heads));
    assert!(kept.is_empty() && fresh.is_empty() && heads.is_empty(), "the first of each: {shown:?}");
    assert_eq!(immortal, 0);
}

/// The path at which a client of this kind polls.
fn path(kind: &str, round: usize, client: usize) -> String {
    format!("/polled/000/{kind}{round}-{client}/xhr")
}

/// Connections, each of which has opened a session.
fn open(address: SocketAddr, kind: &str, round: usize) -> Vec<Client> {
    let open = |client| {
        let mut connection = Client::connect(address);
        assert_eq!(connection.ask("POST", &path(kind, round, client), "", b"").text(), "o\n");
        connection
    };
    (0..CLIENTS).map(open).collect()
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// Stops and continues the server once, at moments that differ from round to round.
fn play(server: &Process, address: SocketAddr, round: usize) -> Losses {
    let part = |most: u32, times: usize| {
        Duration::from_millis(1) * most * (round * times % (SERVERS * ROUNDS)) as u32
            / (SERVERS * ROUNDS) as u32
    };
    let mut kept = open(address, "kept", round);
    let idle = open(address, "fresh", round);
    let mut silent = Client::connect(address);
    assert_eq!(silent.ask("POST", &format!("/silent/000/{round}/xhr"), "", b"").text(), "o\n");
    // The sessions are up to 0.8 s old when the server is stopped, so that every session would expire during the stop.
    thread::sleep(part(550, 7));
    let begun = Instant::now();
    let mut heads = [(); CLIENTS].map(|()| Client::connect(address));
    for head in &mut heads {
        head.send("GET /polled HTTP/1.1\r\nHo");
    }
    // The server has read the first halves once a later request is answered.
    assert_eq!(silent.ask("GET", "/silent", "", b"").status, 200);
    thread::sleep(part(250, 3));

    server.freeze();
    let stopped = Instant::now();
    let mut fresh = thread::scope(|scope| {
        scope.spawn(|| {
            sleep_until(begun + COMPLETED);
            for head in &mut heads {
                head.send("st: a\r\n\r\n");
            }
        });
        poll_while_stopped(address, round, &mut kept, stopped)
    });
    sleep_until(stopped + STOP);
    server.thaw();

    let losses = Losses {
        kept: lost(&mut kept, |answer| answer.text() == "h\n"),
        fresh: lost(&mut fresh, |answer| answer.text() == "h\n"),
        heads: lost(&mut heads, |answer| answer.status == 200),
        immortal: usize::from(!silent_one_ends(server)),
    };
    drop(idle);
    losses
}

/// One client after the other polls on its connection, and with each of them another client polls on a new connection.
/// The function returns the new connections.
fn poll_while_stopped(
    address: SocketAddr,
    round: usize,
    kept: &mut [Client],
    stopped: Instant,
) -> Vec<Client> {
    let most = STOP - Duration::from_millis(100);
    let poll = |(client, kept): (usize, &mut Client)| {
        sleep_until(stopped + most * client as u32 / CLIENTS as u32);
        kept.request("POST", &path("kept", round, client), "", b"");
        let mut fresh = Client::connect(address);
        fresh.request("POST", &path("fresh", round, client), "", b"");
        fresh
    };
    kept.iter_mut().enumerate().map(poll).collect()
}

/// The answers that are not as wanted.
fn lost(clients: &mut [Client], wanted: fn(&Answer) -> bool) -> Vec<String> {
    let answers = clients.iter_mut().map(Client::answer);
    let lost = answers.filter(|answer| !wanted(answer));
    lost.map(|answer| format!("{} {:?}", answer.status, answer.text())).collect()
}

/// Whether the session whose client did not come back ends soon.
fn silent_one_ends(server: &Process) -> bool {
    let deadline = Instant::now() + DISCONNECT_DELAY + SECOND / 2;
    while let Some((_, event)) = server.next_until(deadline) {
        if event == "closed silent Expired" {
            return true;
        }
    }
    false
}
