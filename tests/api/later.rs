//! Answers that come later: from callbacks, from tasks and from other threads, in time or not at all.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use sockjs_server::{
    AnswerError, Body, Context, Event, Handler, Reply, Request, Response, ServerOptions, Session, Ticket,
};

use crate::support::client::Client;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer};

/// Answers the oldest waiting request with each message.
#[derive(Default)]
struct Board {
    waiting: Vec<Ticket>,
}

impl Handler for Board {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        if self.waiting.is_empty() {
            return session.send("none").expect("room");
        }
        let ticket = self.waiting.remove(0);
        let body: Body = match text.strip_prefix("read ") {
            Some(text) => Body::reader(io::Cursor::new(text.to_owned().into_bytes())),
            None => text.to_owned().into(),
        };
        let answered = session.answer(ticket, Response::new(200).header("X-Own", "yes").body(body));
        let again = session.answer(ticket, Response::new(200));
        assert_eq!(again, Err(AnswerError::Gone), "once");
        session.send(if answered.is_ok() { "answered" } else { "gone" }).expect("room");
    }
}

/// What the observer and the fallback told.
struct Ears {
    tickets: Receiver<Ticket>,
    unanswered: Receiver<Ticket>,
}

impl Ears {
    fn ticket(&self) -> Ticket {
        self.tickets.recv_timeout(PATIENCE).expect("a request")
    }

    fn expect_unanswered(&self, ticket: Ticket) {
        assert_eq!(self.unanswered.recv_timeout(PATIENCE), Ok(ticket));
    }
}

/// `/board` is answered by the board, `/later` by the test, everything else at once.
fn start(options: ServerOptions) -> (TestServer, Ears) {
    let (tell_ticket, tickets) = mpsc::channel();
    let (tell_unanswered, unanswered) = mpsc::channel();
    let server = TestServer::start(options, |server| {
        let board = server.mount("/echo", Board::default()).expect("mount");
        server.fallback(move |context: &mut Context<'_>, request: &Request<'_>, _: &[u8]| -> Reply {
            match request.path() {
                "/board" => {
                    let (reply, ticket) = Reply::later(request);
                    assert!(!context.is_waiting(ticket), "not before the fallback returns");
                    assert_eq!(context.answer(ticket, Response::new(200)), Err(AnswerError::Gone));
                    context.handler::<Board>(board).expect("it is a board").waiting.push(ticket);
                    tell_ticket.send(ticket).expect("the test is waiting");
                    reply
                }
                "/later" => {
                    let (reply, ticket) = Reply::later(request);
                    tell_ticket.send(ticket).expect("the test is waiting");
                    reply
                }
                "/never" => {
                    let _ = Reply::later(request);
                    Response::new(200).body("at once").into()
                }
                path => Response::new(200).body(path.to_owned()).into(),
            }
        });
        server.observe(move |event| {
            if let Event::Unanswered { ticket } = event {
                tell_unanswered.send(*ticket).expect("the test is waiting");
            }
        });
    });
    (server, Ears { tickets, unanswered })
}

fn is_waiting(server: &TestServer, ticket: Ticket) -> bool {
    let (sender, receiver) = mpsc::channel();
    let ask = move |context: &mut Context<'_>| sender.send(context.is_waiting(ticket)).expect("it waits");
    server.handle.run(ask).expect("room");
    receiver.recv_timeout(PATIENCE).expect("an answer")
}

#[test]
fn a_callback_answers_a_request_that_waits() {
    let (server, ears) = start(ServerOptions::default());
    let mut socket = WebSocket::raw(server.address, "/echo");
    assert_eq!(socket.send("too early").text(), "none");
    for method in ["GET", "POST", "HEAD"] {
        for (message, is_read) in [("the news", false), ("read the news", true)] {
            let mut client = Client::connect(server.address);
            client.request(method, "/board", "", b"");
            assert!(is_waiting(&server, ears.ticket()));
            assert!(client.is_quiet());
            assert_eq!(server.counters().deferred, 1);
            assert_eq!(socket.send(message).text(), "answered");
            let answer = client.answer_to(method).expect(200).expect_header("X-Own", "yes");
            assert_eq!(answer.text(), if method == "HEAD" { "" } else { "the news" });
            assert_eq!(answer.header("Transfer-Encoding"), is_read.then_some("chunked"));
            // The connection goes on.
            client.ask("GET", "/else", "", b"").expect_body("/else");
        }
    }
    let counters = server.counters();
    assert_eq!((counters.deferred, counters.buffered, counters.refused.total()), (0, 0, 0));
    assert!(ears.unanswered.try_recv().is_err());
}

/// Rule 12.2: one request, one response, in order.
#[test]
fn requests_behind_it_wait_in_order() {
    let (server, ears) = start(ServerOptions::default());
    let mut client = Client::connect(server.address);
    let paths = ["/first", "/later", "/second", "/later", "/third"];
    client.send(paths.map(|path| client.bytes_of("GET", path, "", b"")).concat());
    client.answer().expect_body("/first");
    for next in ["/second", "/third"] {
        let ticket = ears.ticket();
        assert!(client.is_quiet() && is_waiting(&server, ticket));
        assert!(ears.tickets.try_recv().is_err(), "one at a time");
        let large = io::repeat(b'x').take(1_000_000);
        let response = Response::new(200).body(Body::sized_reader(large, 1_000_000));
        server.handle.answer(ticket, response).expect("room");
        assert_eq!(client.answer().body.len(), 1_000_000);
        client.answer().expect_body(next);
    }
    assert!(client.is_quiet());
}

#[test]
fn another_thread_answers_and_a_ticket_is_good_once() {
    let (server, ears) = start(ServerOptions::default());
    let mut client = Client::connect(server.address);
    for round in 0..3 {
        client.request("GET", "/later", "", b"");
        let ticket = ears.ticket();
        for text in ["the answer", "another one"] {
            server.handle.answer(ticket, Response::new(200).body(text)).expect("room");
        }
        client.answer().expect_body("the answer");
        assert!(!is_waiting(&server, ticket), "{round}");
    }
    assert!(client.is_quiet(), "no second answer");
    // HTTP/1.0 has its own rules.
    client.request_http10("GET", "/later", "", b"");
    server.handle.answer(ears.ticket(), Response::new(200).body("x")).expect("room");
    client.answer().expect_body("x").expect_header("Connection", "close");
    client.expect_end();
}

#[test]
fn an_answer_that_does_not_come_in_time_is_503() {
    let (server, ears) = start(ServerOptions::default().answer_timeout(Duration::from_millis(50)));
    let mut client = Client::connect(server.address);
    for method in ["GET", "HEAD"] {
        client.request(method, "/later", "", b"");
        let ticket = ears.ticket();
        let answer = client.answer_to(method).expect(503);
        assert_eq!(answer.text(), if method == "HEAD" { "" } else { "Service Unavailable" });
        ears.expect_unanswered(ticket);
        assert!(!is_waiting(&server, ticket));
        server.handle.answer(ticket, Response::new(200)).expect("room");
        client.ask("GET", "/else", "", b"").expect_body("/else");
    }
    let counters = server.counters();
    assert_eq!((counters.deferred, counters.refused.overloaded), (0, 2));
}

/// A reply that the fallback makes, and does not return, promises nothing.
#[test]
fn a_reply_that_is_not_returned_defers_nothing() {
    let (server, _ears) = start(ServerOptions::default());
    Client::connect(server.address).ask("GET", "/never", "", b"").expect_body("at once");
    let mut kept = None;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.fallback(move |_, request: &Request<'_>, _: &[u8]| {
            let (reply, _) = Reply::later(request);
            kept.replace(reply).unwrap_or_else(|| Response::new(200).into())
        });
    });
    let mut client = Client::connect(server.address);
    client.ask("GET", "/", "", b"").expect(200);
    client.ask("GET", "/", "", b"").expect(500);
    assert_eq!(server.counters().deferred, 0);
}

#[test]
fn a_client_that_leaves_waits_no_longer() {
    let (server, ears) = start(ServerOptions::default());
    let leave: [fn(Client); 3] = [
        drop,
        // An end of its sending side is taken for one of its patience.
        |mut client| {
            client.hang_up();
            client.expect_end();
        },
        // The end stands behind more than is read.
        |mut client| {
            client.send_if_wanted(vec![b'x'; 90_000]);
            drop(client);
        },
    ];
    for leave in leave {
        let mut client = Client::connect(server.address);
        client.request("GET", "/board", "", b"");
        let ticket = ears.ticket();
        leave(client);
        ears.expect_unanswered(ticket);
        assert!(!is_waiting(&server, ticket));
        let mut socket = WebSocket::raw(server.address, "/echo");
        assert_eq!(socket.send("nobody reads it").text(), "gone");
        drop(socket);
        server.wait_until_empty("the client");
    }
    assert_eq!(server.counters().deferred, 0);
}

#[test]
fn the_end_of_the_server_answers_or_ends_them() {
    // In time: what the program answers meanwhile goes out, and is the last of its connection.
    let (server, ears) = start(ServerOptions::default());
    let mut client = Client::connect(server.address);
    client.request("GET", "/later", "", b"");
    let ticket = ears.ticket();
    server.handle.shutdown();
    server.handle.answer(ticket, Response::new(200).body("the last word")).expect("room");
    client.answer().expect_body("the last word").expect_header("Connection", "close");
    client.expect_end();
    assert_eq!(server.stop().connections_cut, 0);
    // Not in time: the wait is short from then on.
    let (server, ears) = start(ServerOptions::default());
    let mut client = Client::connect(server.address);
    client.request("GET", "/later", "", b"");
    let ticket = ears.ticket();
    server.handle.shutdown();
    client.answer().expect(503).expect_header("Connection", "close");
    ears.expect_unanswered(ticket);
    client.expect_end();
    assert_eq!(server.stop().connections_cut, 0);
    // No time at all.
    let (server, ears) = start(ServerOptions::default().shutdown_grace(Duration::ZERO));
    let mut client = Client::connect(server.address);
    client.request("GET", "/later", "", b"");
    let ticket = ears.ticket();
    assert_eq!(server.stop().connections_cut, 1);
    ears.expect_unanswered(ticket);
    client.expect_end();
}

/// While sessions are drained the rest of the server goes on.
#[test]
fn a_drain_lets_them_wait() {
    let (server, ears) = start(ServerOptions::default());
    let mut socket = WebSocket::raw(server.address, "/echo");
    let mut client = Client::connect(server.address);
    client.request("GET", "/board", "", b"");
    ears.ticket();
    server.handle.drain(PATIENCE, 1012, "Service restart").expect("room");
    assert_eq!(socket.send("news").text(), "answered");
    client.answer().expect_body("news");
}

/// A poll of programs that speak no SockJS: thousands of them wait at once, and cost their connections alone.
#[test]
fn thousands_of_requests_wait_and_are_answered() {
    let count = 5000.min(crate::support::descriptors() / 4);
    let (server, ears) = start(ServerOptions::default());
    let mut clients = Vec::new();
    let mut tickets = Vec::new();
    for number in 0..count {
        let mut client = Client::connect(server.address);
        client.request("GET", &format!("/later?{number}"), "", b"");
        tickets.push(ears.ticket());
        clients.push(client);
    }
    let counters = server.counters();
    assert_eq!((counters.deferred, counters.connections, counters.buffered), (count, count, 0));
    let shared: std::sync::Arc<[u8]> = vec![b's'; 10_000].into();
    let answer_all = move |context: &mut Context<'_>| {
        for ticket in &tickets {
            let body = std::sync::Arc::clone(&shared);
            context.answer(*ticket, Response::new(200).body(body)).expect("all of them wait");
        }
    };
    server.handle.run(answer_all).expect("room");
    for client in &mut clients {
        assert_eq!(client.answer().expect(200).body, [b's'; 10_000]);
    }
    let counters = server.wait_for("all to leave", |counters| counters.buffered == 0);
    assert_eq!((counters.deferred, counters.refused.total()), (0, 0));
}
