//! A handler works for longer than the waits of other clients: no client is lost by the work (rules 12.11 and 12.12).

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{EndpointOptions, Handler, ServerOptions, Session};

use crate::SECOND;
use crate::support::client::Client;
use crate::support::frames::text;
use crate::support::{PATIENCE, TestServer};

const WORK: Duration = Duration::from_secs(2);

/// A handler that tells the test when a message comes, works, and then broadcasts if the message says so.
struct Worker(Sender<()>);

impl Handler for Worker {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        self.0.send(()).expect("the test listens");
        thread::sleep(WORK);
        if text == "work and tell" {
            session.broadcast("done");
        }
    }
}

/// A server whose sessions live 1 s without a receiver, and whose polls are soon answered with a heartbeat.
fn worker() -> (TestServer, Receiver<()>) {
    let (begins, begun) = mpsc::channel();
    let mut options = EndpointOptions::default();
    options.disconnect_delay = SECOND;
    options.heartbeat_delay = SECOND;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount_with("/worker", options, Worker(begins)).expect("mount");
    });
    (server, begun)
}

fn path(client: usize) -> String {
    format!("/worker/000/{client}/xhr")
}

fn open(address: SocketAddr, client: usize) -> Client {
    let mut connection = Client::connect(address);
    assert_eq!(connection.ask("POST", &path(client), "", b"").text(), "o\n");
    connection
}

/// The body of the answer to a poll that is under way.
fn answer(client: &mut Client) -> String {
    client.answer().text().to_owned()
}

#[test]
fn polls_that_come_on_new_connections_while_a_handler_works_find_their_sessions() {
    /// The backlog of the listener holds 128 connections.
    const CLIENTS: usize = 100;
    let (server, begun) = worker();
    let mut socket = Client::connect(server.address);
    socket.upgrade("/worker/websocket");
    let opened = Instant::now();
    for client in 0..CLIENTS {
        drop(open(server.address, client));
    }
    socket.send(text("work"));
    begun.recv_timeout(PATIENCE).expect("the handler works");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    for (client, connection) in clients.iter_mut().enumerate() {
        connection.request("POST", &path(client), "", b"");
    }
    assert!(opened.elapsed() < SECOND, "the clients were late themselves");
    let answers: Vec<String> = clients.iter_mut().map(answer).collect();
    let lost = answers.iter().filter(|answer| *answer != "h\n").count();
    println!("blocked: lost {lost} of {CLIENTS} sessions whose polls came on new connections");
    assert_eq!(lost, 0, "the first answer: {:?}", answers[0]);
}

#[test]
fn clients_that_were_told_after_long_work_have_the_whole_delay_to_come_back() {
    const CLIENTS: usize = 50;
    let (server, begun) = worker();
    let mut socket = Client::connect(server.address);
    socket.upgrade("/worker/websocket");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|client| open(server.address, client)).collect();
    for (client, connection) in clients.iter_mut().enumerate() {
        connection.request("POST", &path(client), "", b"");
    }
    // The server has read every poll once it has counted one upgrade and two requests of each client.
    server.wait_for("the polls", |counters| counters.requests == 1 + 2 * CLIENTS as u64);
    socket.send(text("work and tell"));
    begun.recv_timeout(PATIENCE).expect("the handler works");
    for connection in &mut clients {
        assert_eq!(answer(connection), "a[\"done\"]\n");
    }
    // The clients come back after a round trip, which is far less than they may take.
    thread::sleep(Duration::from_millis(40));
    for (client, connection) in clients.iter_mut().enumerate() {
        connection.request("POST", &path(client), "", b"");
    }
    let answers: Vec<String> = clients.iter_mut().map(answer).collect();
    let lost = answers.iter().filter(|answer| *answer != "h\n").count();
    println!("blocked: lost {lost} of {CLIENTS} sessions that were told after long work");
    assert_eq!(lost, 0, "the first answer: {:?}", answers[0]);
}
