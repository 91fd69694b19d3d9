//! What the program keeps, with sessions and in handlers, from everywhere on the loop.

use std::sync::mpsc;
use std::time::Duration;

use sockjs_server::{
    Close, EndpointId, EndpointOptions, Handler, Refusal, Request, Response, Server, ServerOptions, Session,
    SessionId,
};

use crate::support::client::Client;
use crate::support::frames::HANDSHAKE;
use crate::support::sockjs::SockJs;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer};

/// Everybody has a name, and may ask for those of the others.
#[derive(Default)]
struct Names {
    /// How many were admitted.
    admitted: usize,
    sessions: Vec<SessionId>,
}

/// Has a size of its own, so that none can be taken for another.
struct Guest {
    name: String,
    greetings: Vec<String>,
}

impl Handler<Guest> for Names {
    fn admit(&mut self, request: &Request<'_>) -> Result<Guest, Refusal> {
        self.admitted += 1;
        let name = request.query_parameter("name").ok_or(Refusal::close(4001, "no name"))?;
        Ok(Guest { name: name.into_owned(), greetings: Vec::new() })
    }

    fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
        self.sessions.push(session.id());
        let (guest, mut session) = session.split();
        session.send(&guest.name).expect("a session that opens has room");
    }

    /// Greets all sessions, and says for each the names from which it was greeted.
    fn on_message(&mut self, session: &mut Session<'_, Guest>, _: &str) {
        let name = session.state().name.clone();
        let mut endpoint = session.endpoint();
        for id in endpoint.sessions() {
            endpoint.state_mut(id).expect("it is open").greetings.push(name.clone());
        }
        let everybody = self.sessions.iter().map(|id| match endpoint.state(*id) {
            Some(guest) => format!("{}<{}", guest.name, guest.greetings.join("+")),
            None => "gone".to_owned(),
        });
        let everybody: Vec<_> = everybody.collect();
        session.send(everybody.join(" ")).expect("room");
    }

    fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
        let id = session.id();
        assert!(!session.endpoint().sessions().contains(&id));
        assert!(session.endpoint().state(id).is_some_and(|guest| !guest.name.is_empty()));
        session.broadcast(&format!("{} left", session.state().name));
    }
}

fn open(server: &TestServer, name: &str) -> WebSocket {
    let mut socket =
        WebSocket::open_on(Client::connect(server.address), &format!("/e/websocket?name={name}"), HANDSHAKE);
    assert_eq!(socket.text(), name);
    socket
}

fn names(options: EndpointOptions) -> (TestServer, EndpointId<Guest>) {
    let mut endpoint = None;
    let server = TestServer::start(ServerOptions::default(), |server| {
        endpoint = server.mount_with("/e", options, Names::default()).ok();
    });
    (server, endpoint.expect("mounted"))
}

#[test]
fn a_callback_reaches_the_state_of_every_session() {
    let (server, _) = names(EndpointOptions::default());
    let (mut ann, mut bob) = (open(&server, "ann"), open(&server, "bob"));
    assert_eq!(ann.send("x").text(), "ann<ann bob<ann");
    assert_eq!(bob.send("x").text(), "ann<ann+bob bob<ann+bob");
    ann.leave();
    assert_eq!(bob.text(), "ann left");
    assert_eq!(bob.send("x").text(), "gone bob<ann+bob+bob");
}

/// A closed session stays for late receivers, and its slot has another state by then.
#[test]
fn a_session_that_has_closed_does_not_find_the_state_of_the_next() {
    let mut options = EndpointOptions::default();
    options.disconnect_delay = Duration::from_secs(3600);
    let (server, endpoint) = names(options);
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/e/0/s/xhr?name=old", "", b"").text(), "o\n");
    let (tell, told) = mpsc::channel();
    server
        .handle
        .run(move |context| {
            let mut endpoint = context.endpoint(endpoint);
            let old = endpoint.sessions()[0];
            assert!(endpoint.close(old, 4000, "bye"));
            tell.send(old).expect("the test is waiting");
        })
        .expect("room");
    let old = told.recv_timeout(PATIENCE).expect("it is there");
    let mut new = open(&server, "new");
    assert_eq!(new.send("x").text(), "gone new<new");
    let (tell, told) = mpsc::channel();
    server
        .handle
        .run(move |context| {
            let mut endpoint = context.endpoint(endpoint);
            tell.send(endpoint.state_mut(old).is_none()).expect("the test is waiting");
        })
        .expect("room");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
    assert_eq!(server.counters().sessions, 2, "the old one is still known");
}

/// A session of one endpoint is none of another, whatever its slot.
#[test]
fn states_are_of_their_own_endpoint() {
    let (tell, told) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        for prefix in ["/a", "/b"] {
            let tell = tell.clone();
            let whose = move |session: &mut Session<'_, u8>, _: &str| {
                tell.send(session.id()).expect("the test is waiting");
            };
            server.mount(prefix, whose).expect("mount");
        }
        let compare = move |session: &mut Session<'_, u8>, _: &str| {
            let strangers: Vec<_> = told.try_iter().collect();
            let mut endpoint = session.endpoint();
            let reached = strangers.iter().filter(|id| endpoint.state_mut(**id).is_some()).count();
            session.send(format!("{} {reached}", strangers.len())).expect("room");
        };
        server.mount("/c", compare).expect("mount");
    });
    let sockets = ["/a", "/b"].map(|prefix| {
        let mut socket = WebSocket::raw(server.address, prefix);
        socket.send("x");
        socket
    });
    server.wait_for("both messages", |counters| counters.messages_in == 2);
    assert_eq!(WebSocket::raw(server.address, "/c").send("x").text(), "2 0");
    drop(sockets);
}

/// Without a lock: the task runs on the server's thread, between two callbacks.
#[test]
fn a_task_reaches_the_handler_and_the_states() {
    let (server, endpoint) = names(EndpointOptions::default());
    let mut ann = open(&server, "ann");
    let (tell, told) = mpsc::channel();
    server
        .handle
        .run(move |context| {
            let handler = context.handler::<Names>(endpoint).expect("it is of this type");
            handler.admitted += 10;
            assert!(context.handler::<String>(endpoint).is_none());
            let (handler, mut endpoint) =
                context.handler_and_endpoint::<Names, _>(endpoint).expect("it is of this type");
            for id in &handler.sessions {
                endpoint.state_mut(*id).expect("it is open").name.push('a');
            }
            endpoint.broadcast("renamed");
            tell.send(handler.admitted).expect("the test is waiting");
        })
        .expect("room");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(11));
    assert_eq!(ann.text(), "renamed");
    assert_eq!(ann.send("x").text(), "anna<anna");
}

/// A page that lists the names; and a task, and a program between two turns.
#[test]
fn a_fallback_and_a_program_that_turns_the_server_reach_both() {
    let mut server = Server::bind("127.0.0.1:0").expect("server");
    let endpoint = server.mount("/e", Names::default()).expect("mount");
    let echo = server.mount("/echo", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    server.fallback(move |context, _, _| {
        let count = context.handler::<Names>(endpoint).map_or(0, |names| names.admitted);
        let endpoint = context.endpoint(endpoint);
        let names = endpoint.sessions().into_iter().filter_map(|id| endpoint.state(id));
        let names: Vec<_> = names.map(|guest| guest.name.as_str()).collect();
        Response::new(200).body(format!("{count}: {}", names.join(" ")))
    });
    let address = server.addresses()[0];
    let mut client = Client::connect(address);
    let turn_until = |server: &mut Server, count: u64| {
        while server.counters().requests < count {
            server.turn(Some(PATIENCE)).expect("turn");
        }
    };
    client.request("POST", "/e/0/one/xhr?name=ann", "", b"");
    turn_until(&mut server, 1);
    let (names, mut chat) = server.handler_and_endpoint::<Names, _>(endpoint).expect("it is of this type");
    let id = names.sessions[0];
    chat.state_mut(id).expect("it is open").name.push('a');
    names.admitted += 10;
    assert_eq!(server.endpoint(endpoint).state(id).map(|guest| guest.name.as_str()), Some("anna"));
    assert_eq!(server.handler::<Names>(endpoint).map(|names| names.admitted), Some(11));
    // Of another endpoint.
    assert!(server.handler::<Names>(echo).is_none());
    assert!(server.endpoint(echo).state(id).is_none());
    client.head();
    client.take(2);
    client.request("GET", "/", "", b"");
    turn_until(&mut server, 2);
    let mut answer = client.head();
    client.body(&mut answer);
    assert_eq!(answer.text(), "11: anna");
}

/// Such an id names an endpoint here by chance, with sessions of another type.
#[test]
fn an_id_of_another_server_reaches_no_state() {
    let mut other = Server::new(ServerOptions::default()).expect("server");
    let foreign: EndpointId<u8> = other.mount("/e", |_: &mut Session<'_, u8>, _: &str| {}).expect("mount");
    let (server, _) = names(EndpointOptions::default());
    let _ann = open(&server, "ann");
    let (tell, told) = mpsc::channel();
    server
        .handle
        .run(move |context| {
            let mut endpoint = context.endpoint(foreign);
            let ids = endpoint.sessions();
            let reached = ids.iter().filter(|id| endpoint.state_mut(**id).is_some()).count();
            tell.send((ids.len(), reached)).expect("the test is waiting");
        })
        .expect("room");
    assert_eq!(told.recv_timeout(PATIENCE), Ok((1, 0)));
}

/// Its request made none, and it has no slot.
#[test]
fn a_refused_session_has_no_state() {
    let (server, _) = names(EndpointOptions::default());
    let mut ann = open(&server, "ann");
    let mut refused = SockJs::polling(server.address, "/e", "refused");
    assert_eq!(refused.frame(), r#"c[4001,"no name"]"#);
    assert_eq!(ann.send("x").text(), "ann<ann");
}

/// What a callback leaves behind where it panics is what it left, and the others go on.
#[test]
fn a_panic_between_two_states_leaves_both() {
    struct Fragile;
    impl Handler<u32> for Fragile {
        fn admit(&mut self, _: &Request<'_>) -> Result<u32, Refusal> {
            Ok(7)
        }
        fn on_message(&mut self, session: &mut Session<'_, u32>, text: &str) {
            let mut endpoint = session.endpoint();
            for id in endpoint.sessions() {
                *endpoint.state_mut(id).expect("it is open") += 1;
                assert_ne!(text, "panic");
            }
            session.send(session.state().to_string()).expect("room");
        }
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/e", Fragile).expect("mount");
    });
    let mut first = WebSocket::raw(server.address, "/e");
    assert_eq!(first.send("x").text(), "8");
    let mut second = WebSocket::raw(server.address, "/e");
    second.send("panic");
    second.expect_close(3000, "Internal error");
    assert_eq!(first.send("x").text(), "10");
}
