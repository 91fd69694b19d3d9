//! Groups through the public API: members get the messages, the handler is told of starts and ends, and groups joined,
//! left and ended from every callback.

use std::sync::mpsc::{self, Receiver, Sender};

use sockjs_server::{
    Close, Endpoint, EndpointId, EndpointOptions, Event, Handler, JoinError, Request, ServerOptions, Session,
    SessionId,
};

use crate::support::sockjs::SockJs;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, TestServer};

/// Does as its messages say, and tells the test of each start and end.
struct Rooms {
    told: Sender<String>,
    opened: Sender<SessionId>,
}

impl Handler for Rooms {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        // Tests that are over no longer listen.
        let _ = self.opened.send(session.id());
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let (order, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let answer = match order {
            "join" => format!("{:?}", session.join(name)),
            "leave" => format!("{}", session.leave(name)),
            "publish" => format!("{}", session.publish(name, text)),
            "others" => format!("{}", session.publish_others(name, text)),
            "binary" => format!("{}", session.publish_binary(name, text.as_bytes())),
            "groups" => format!("{:?} {}", session.groups(), session.is_member("a")),
            _ => panic!("{order}"),
        };
        session.send(&answer).expect("it is open");
    }

    fn on_close(&mut self, session: &mut Session<'_>, _: &Close) {
        for name in session.groups() {
            session.publish(&name, "somebody left");
        }
    }

    fn on_group_start(&mut self, endpoint: &mut Endpoint<'_>, name: &str) {
        let _ = self.told.send(format!("{name} starts with {}", endpoint.member_count(name)));
    }

    fn on_group_end(&mut self, _: &mut Endpoint<'_>, name: &str) {
        let _ = self.told.send(format!("{name} ends"));
    }
}

struct Scene {
    server: TestServer,
    endpoint: EndpointId,
    told: Receiver<String>,
    opened: Receiver<SessionId>,
}

fn rooms() -> Scene {
    let ((told, hears), (opens, opened)) = (mpsc::channel(), mpsc::channel());
    let mut endpoint = None;
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        (options.groups, options.groups_per_session, options.group_name_length) = (3, 2, 5);
        endpoint = server.mount_with("/rooms", options, Rooms { told, opened: opens }).ok();
    });
    Scene { server, endpoint: endpoint.expect("mounted"), told: hears, opened }
}

fn hear(told: &Receiver<String>) -> String {
    told.recv_timeout(PATIENCE).expect("a notice")
}

#[test]
fn sessions_join_publish_and_leave() {
    let Scene { server, told, .. } = rooms();
    let mut one = WebSocket::raw(server.address, "/rooms");
    let mut two = WebSocket::raw(server.address, "/rooms");
    let mut polling = SockJs::polling(server.address, "/rooms", "p");
    assert_eq!(one.send("join a").text(), "Ok(())");
    assert_eq!(hear(&told), "a starts with 1");
    assert_eq!(one.send("join a").text(), "Ok(())");
    assert_eq!(two.send("join a").text(), "Ok(())");
    assert_eq!(polling.send_json(r#"["join a"]"#), 204);
    assert_eq!(polling.frame(), r#"a["Ok(())"]"#);
    assert_eq!(two.send("groups").text(), r#"["a"] true"#);

    one.send("publish a \u{200d}hello");
    assert_eq!((one.text(), one.text()), ("\u{200d}hello".to_owned(), "3".to_owned()));
    assert_eq!(two.text(), "\u{200d}hello");
    assert_eq!(polling.frame(), r#"a["\u200dhello"]"#);
    one.send("others a hi");
    assert_eq!((one.text(), two.text()), ("2".to_owned(), "hi".to_owned()));
    assert_eq!(polling.frame(), r#"a["hi"]"#);
    // SockJS carries text.
    one.send("binary a bytes");
    assert_eq!((one.next(), one.text()), (Frame::Binary(b"bytes".to_vec()), "2".to_owned()));
    assert_eq!(two.next(), Frame::Binary(b"bytes".to_vec()));

    assert_eq!(one.send("leave a").text(), "true");
    assert_eq!(one.send("leave a").text(), "false");
    assert_eq!(one.send("publish a bye").text(), "2");
    assert_eq!((two.text(), polling.frame()), ("bye".to_owned(), r#"a["bye"]"#.to_owned()));
    two.leave();
    assert_eq!(polling.frame(), r#"a["somebody left"]"#);
    assert_eq!(polling.send_json(r#"["leave a"]"#), 204);
    assert_eq!(hear(&told), "a ends");
    assert!(told.try_recv().is_err());
}

#[test]
fn limits_are_error_values() {
    let Scene { server, .. } = rooms();
    let mut one = WebSocket::raw(server.address, "/rooms");
    let mut two = WebSocket::raw(server.address, "/rooms");
    let error = |error: JoinError| format!("{:?}", Err::<(), _>(error));
    assert_eq!(one.send("join sixsix").text(), error(JoinError::NameTooLong));
    assert_eq!(one.send("join a").text(), "Ok(())");
    assert_eq!(one.send("join b").text(), "Ok(())");
    assert_eq!(one.send("join c").text(), error(JoinError::TooManyOfSession));
    assert_eq!(two.send("join c").text(), "Ok(())");
    assert_eq!(two.send("join d").text(), error(JoinError::TooManyGroups));
    assert_eq!(two.send("leave c").text(), "true");
    assert_eq!(two.send("join d").text(), "Ok(())");
}

#[test]
fn a_handle_does_with_groups_what_a_callback_can() {
    let Scene { server, endpoint, told, opened } = rooms();
    let handle = server.handle.clone();
    let mut sockets: Vec<_> = (0..3).map(|_| WebSocket::raw(server.address, "/rooms")).collect();
    let ids: Vec<_> = opened.iter().take(3).collect();
    handle.join(ids[0], "a").expect("room");
    handle.join(ids[1], "a").expect("room");
    handle.publish(endpoint, "a", "text").expect("room");
    handle.publish_binary(endpoint, "a", b"bytes").expect("room");
    handle.publish_except(endpoint, "a", "to the first", ids[1]).expect("room");
    handle.leave(ids[0], "a").expect("room");
    handle.publish(endpoint, "a", "less").expect("room");
    handle.send_to([ids[2], ids[0]], "named").expect("room");
    assert!(hear(&told).starts_with("a starts with "));
    let text = |text: &str| Frame::Text(text.to_owned());
    let bytes = Frame::Binary(b"bytes".to_vec());
    for expected in [text("text"), bytes.clone(), text("to the first"), text("named")] {
        assert_eq!(sockets[0].next(), expected);
    }
    for expected in [text("text"), bytes, text("less")] {
        assert_eq!(sockets[1].next(), expected);
    }
    assert_eq!(sockets[2].next(), text("named"));

    let (answer, answered) = mpsc::channel();
    handle
        .run(move |context| {
            let mut endpoint = context.endpoint(endpoint);
            assert_eq!(endpoint.join(ids[2], "b"), Ok(()));
            assert_eq!(endpoint.members("a"), [ids[1]]);
            assert!(endpoint.is_member(ids[2], "b") && !endpoint.is_member(ids[2], "a"));
            let mut groups = endpoint.groups();
            groups.sort();
            assert_eq!(groups.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
            assert_eq!(endpoint.groups_of(ids[2]).len(), 1);
            assert_eq!(endpoint.send_to(&ids, "all"), 3);
            assert_eq!(endpoint.publish_except("b", "none", ids[2]), 0);
            assert!(endpoint.close(ids[2], 4000, "Bye"));
            assert_eq!((endpoint.member_count("b"), endpoint.groups().len()), (0, 1));
            assert_eq!(endpoint.join(ids[2], "b"), Err(JoinError::Gone));
            answer.send(()).expect("the test is waiting");
        })
        .expect("room");
    answered.recv_timeout(PATIENCE).expect("no assertion failed");
}

/// Panics where it is told of a group.
struct Fragile;

impl Handler for Fragile {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.join(text).expect("within limits");
        session.publish(text, "joined");
    }

    fn on_group_start(&mut self, _: &mut Endpoint<'_>, _: &str) {
        panic!("as the test wants it");
    }
}

#[test]
fn a_panic_in_a_notice_costs_no_session() {
    let (told, panics) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.observe(move |event| {
            if let Event::Panicked { session } = event {
                let _ = told.send(*session);
            }
        });
        server.mount("/fragile", Fragile).expect("mount");
    });
    let mut socket = WebSocket::raw(server.address, "/fragile");
    for name in ["a", "b"] {
        assert_eq!(socket.send(name).text(), "joined");
        assert_eq!(panics.recv_timeout(PATIENCE), Ok(None));
    }
    socket.leave();
}
