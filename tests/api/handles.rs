//! The server from other threads.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sockjs_server::{EndpointId, HandleError, Handler, Request, Server, ServerOptions, Session, SessionId};

use crate::support::sockjs::SockJs;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, TestServer, turn_until};

/// Tells who came.
struct Lobby {
    opened: mpsc::Sender<SessionId>,
}

impl Handler for Lobby {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        // Tests that are over no longer listen.
        let _ = self.opened.send(session.id());
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

fn lobby() -> (TestServer, EndpointId, mpsc::Receiver<SessionId>) {
    let (opened, heard) = mpsc::channel();
    let mut endpoint = None;
    let server = TestServer::start(ServerOptions::default(), |server| {
        endpoint = server.mount("/lobby", Lobby { opened }).ok();
    });
    (server, endpoint.expect("mounted"), heard)
}

#[test]
fn a_handle_does_all_that_a_callback_can() {
    let (server, endpoint, opened) = lobby();
    let handle = server.handle.clone();
    let mut raw = WebSocket::raw(server.address, "/lobby");
    let raw_id = opened.recv_timeout(PATIENCE).expect("opened");
    let mut polling = SockJs::polling(server.address, "/lobby", "a");
    let polling_id = opened.recv_timeout(PATIENCE).expect("opened");

    handle.send(raw_id, "to one").expect("room");
    handle.send_binary(raw_id, [1, 2, 3]).expect("room");
    handle.send_binary(polling_id, [1, 2, 3]).expect("room");
    handle.broadcast(endpoint, "to all").expect("room");
    assert_eq!(raw.text(), "to one");
    assert_eq!(raw.next(), Frame::Binary(vec![1, 2, 3]));
    assert_eq!(raw.text(), "to all");
    assert_eq!(polling.frame(), r#"a["to all"]"#);

    let (count, counted) = mpsc::channel();
    let posted = handle.run(move |context| {
        let mut endpoint = context.endpoint(endpoint);
        endpoint.broadcast_except("to all but one", raw_id);
        count.send(endpoint.session_count()).expect("the test is waiting");
    });
    assert_eq!(posted, Ok(()));
    assert_eq!(counted.recv_timeout(PATIENCE), Ok(2));
    assert_eq!(polling.frame(), r#"a["to all but one"]"#);
    handle.broadcast_except(endpoint, "to one", polling_id).expect("room");
    handle.broadcast_except(endpoint, "to the other", raw_id).expect("room");
    assert_eq!(raw.text(), "to one");
    assert_eq!(polling.frame(), r#"a["to the other"]"#);

    handle.close(raw_id, 4000, "from afar").expect("room");
    handle.send(raw_id, "too late").expect("room");
    handle.close(raw_id, 4001, "twice").expect("room");
    raw.expect_close(4000, "from afar");

    handle.shutdown();
    assert_eq!(polling.frame(), r#"c[1001,"Server shutdown"]"#);
    drop(polling);
    server.stop();
    // The server is gone, and nothing happens.
    assert_eq!(handle.send(raw_id, "hello?"), Err(HandleError::Gone));
    assert_eq!(handle.send_binary(raw_id, "hello?"), Err(HandleError::Gone));
    assert_eq!(handle.broadcast(endpoint, "hello?"), Err(HandleError::Gone));
    assert_eq!(handle.close(raw_id, 4002, "once more"), Err(HandleError::Gone));
    assert_eq!(handle.run(|_| unreachable!("on which thread?")), Err(HandleError::Gone));
    assert_eq!(handle.pending().commands, 0);
    handle.shutdown();
}

const THREADS: usize = 8;
const SESSIONS: usize = 100;
const MESSAGES: usize = 100_000;

/// None is lost for a session that lives, and each thread's are in order, while sessions come and go.
#[test]
fn many_threads_send_many_messages_to_many_sessions() {
    let (server, _, opened) = lobby();
    let mut sockets: Vec<_> = (0..SESSIONS).map(|_| WebSocket::raw(server.address, "/lobby")).collect();
    let ids: Vec<_> = opened.iter().take(SESSIONS).collect();
    let of_each = MESSAGES / THREADS / SESSIONS;

    thread::scope(|scope| {
        let (stop_coming, stopped) = mpsc::channel::<()>();
        let (passing, passed) = (server.handle.clone(), &server);
        scope.spawn(move || {
            // Until the senders are done, sessions come, are sent to, and go, in three ways.
            let mut number = 0;
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let mut socket = WebSocket::raw(passed.address, "/lobby");
                let id = opened.recv_timeout(PATIENCE).expect("opened");
                passing.send(id, "hello").expect("room");
                match number % 3 {
                    0 => assert_eq!(socket.text(), "hello"),
                    1 => passing.close(id, 4000, "Go away!").expect("room"),
                    _ => _ = socket.send_close(1000, ""),
                }
                number += 1;
                drop(socket);
                passing.send(id, "to nobody").expect("room");
            }
        });
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (handle, ids) = (server.handle.clone(), &ids);
                scope.spawn(move || {
                    for number in 0..of_each {
                        for id in ids {
                            handle.send(*id, format!("{thread} {number}")).expect("room");
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().expect("a sender");
        }
        drop(stop_coming);
    });

    for socket in &mut sockets {
        let mut next = [0; THREADS];
        for _ in 0..THREADS * of_each {
            let text = socket.text();
            let (thread, number) = text.split_once(' ').expect("two numbers");
            let thread: usize = thread.parse().expect("a thread");
            assert_eq!(number.parse(), Ok(next[thread]), "from thread {thread}");
            next[thread] += 1;
        }
        assert_eq!(next, [of_each; THREADS]);
    }
}

/// One wake for all that was posted since the last turn, one turn to do it, and then silence.
#[test]
#[cfg(unix)]
fn the_loop_wakes_only_when_it_must() {
    use std::os::fd::AsRawFd;

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};

    let mut server = Server::new(ServerOptions::default()).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    let (opened, ids) = mpsc::channel();
    server.mount("/lobby", Lobby { opened }).expect("mount");
    let client = thread::spawn(move || WebSocket::raw(address, "/lobby"));
    turn_until(&mut server, |server| server.counters().opened > 0);
    let mut socket = client.join().expect("the client");
    let id = ids.recv().expect("opened");

    let mut poll = Poll::new().expect("poll");
    let mut events = Events::with_capacity(8);
    let descriptor = server.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).expect("register");
    let mut is_readable = move || {
        // Registered anew it tells what is so now, not only what is news.
        poll.registry()
            .reregister(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)
            .expect("register");
        poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
        !events.is_empty()
    };
    // Until the writable event of the new socket is taken.
    while is_readable() {
        server.turn(Some(Duration::ZERO)).expect("turn");
    }

    thread::scope(|scope| {
        for _ in 0..THREADS {
            let handle = server.handle();
            scope.spawn(move || (0..1_000).for_each(|_| handle.send(id, "x").expect("room")));
        }
    });
    assert!(is_readable());
    let before = server.counters().messages_out;
    server.turn(None).expect("turn");
    assert_eq!(server.counters().messages_out - before, 8_000);
    assert!(!is_readable(), "woken once for all of them");
    for _ in 0..8_000 {
        assert_eq!(socket.text(), "x");
    }
    server.handle().send(id, "y").expect("room");
    assert!(is_readable(), "and again for the next");
    server.turn(None).expect("turn");
    assert_eq!(socket.text(), "y");
}

/// Commands that come too fast are refused, and those that were accepted are carried out, in order.
#[test]
fn a_mailbox_that_is_full_says_so_and_loses_nothing() {
    let mut options = ServerOptions::default();
    options.mailbox_bytes = 64 << 10;
    let limit = options.mailbox_bytes;
    let mut server = Server::new(options).expect("server");
    let endpoint = server.mount("/lobby", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    let handle = server.handle();
    assert_eq!(handle.broadcast(endpoint, "x".repeat(limit)), Err(HandleError::TooLarge));
    assert_eq!((handle.pending().commands, handle.pending().bytes), (0, 0));
    for round in 0..3 {
        let (ran, order) = mpsc::channel();
        let post = |number: usize| {
            let ran = ran.clone();
            handle.run(move |_| ran.send(number).expect("the test listens"))
        };
        let accepted = (0..).find(|number| post(*number).is_err()).expect("a bound");
        assert!(accepted > 400, "{accepted} commands of about 100 bytes");
        assert_eq!(post(0), Err(HandleError::Busy));
        assert_eq!(handle.pending().commands, accepted);
        assert!(handle.pending().bytes > limit - 200 && handle.pending().bytes <= limit);
        if round == 2 {
            // The last word finds room; and it is said once.
            (0..10).for_each(|_| handle.shutdown());
            assert_eq!(handle.pending().commands, accepted + 1);
            server.run().expect("run");
        } else {
            server.turn(Some(PATIENCE)).expect("turn");
        }
        assert!(order.try_iter().eq(0..accepted), "in order, each of them once");
        assert_eq!((handle.pending().commands, handle.pending().bytes), (0, 0));
    }
    assert_eq!(handle.run(|_| {}), Err(HandleError::Gone));
}

/// Threads that are refused try again, and the order of each is kept, though the mailbox is full nearly all the time.
#[test]
fn threads_wait_for_room_in_a_small_mailbox() {
    const OF_EACH: usize = 5_000;
    let mut options = ServerOptions::default();
    options.mailbox_bytes = 8 << 10;
    let server = TestServer::start(options, |_| {});
    let (ran, order) = mpsc::channel();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (handle, ran) = (server.handle.clone(), ran.clone());
            scope.spawn(move || {
                for number in 0..OF_EACH {
                    loop {
                        let ran = ran.clone();
                        match handle.run(move |_| ran.send((thread, number)).expect("the test listens")) {
                            Ok(()) => break,
                            Err(error) => assert_eq!(error, HandleError::Busy),
                        }
                        thread::yield_now();
                    }
                }
            });
        }
    });
    let mut next = [0; THREADS];
    for (thread, number) in order.iter().take(THREADS * OF_EACH) {
        assert_eq!(number, next[thread], "of thread {thread}");
        next[thread] += 1;
    }
    assert_eq!(next, [OF_EACH; THREADS]);
}

/// Commands that a server did not carry out are dropped with it, and the handle owns them no more.
#[test]
fn commands_that_a_dropped_server_leaves_are_dropped() {
    let server = Server::new(ServerOptions::default()).expect("server");
    let handle = server.handle();
    let (held, released) = mpsc::channel::<()>();
    let own = server.handle();
    handle.run(move |_| drop((held, own))).expect("room");
    drop(server);
    assert_eq!(released.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert_eq!(handle.pending().commands, 0);
}
