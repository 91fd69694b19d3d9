//! From every callback, every operation, on oneself and on others: all do what they say, every session closes once, and
//! nothing is heard of it after that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sockjs_server::{
    Close, Endpoint, EndpointId, EndpointOptions, Handler, JoinError, Refusal, Request, SendError,
    ServerOptions, Session, SessionId,
};

use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, TestServer};

/// From where it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callback {
    Open,
    Message,
    Binary,
    Drain,
    Timer,
    EndpointTimer,
    GroupStart,
    GroupEnd,
    Task,
    Close,
}

use Callback::{Binary, Drain, EndpointTimer, GroupEnd, GroupStart, Message, Open, Task, Timer};

const CALLBACKS: [Callback; 10] =
    [Open, Message, Binary, Drain, Timer, EndpointTimer, GroupStart, GroupEnd, Task, Callback::Close];

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    SendToSelf,
    SendToOther,
    Broadcast,
    BroadcastToOthers,
    CloseSelf,
    CloseSelfTwice,
    CloseOther,
    CloseAll,
    SendAfterClose,
    Timers,
    States,
    Groups,
    CloseMember,
    Terminate,
}

use Operation::*;

const OPERATIONS: [Operation; 14] = [
    SendToSelf,
    SendToOther,
    Broadcast,
    BroadcastToOthers,
    CloseSelf,
    CloseSelfTwice,
    CloseOther,
    CloseAll,
    SendAfterClose,
    Timers,
    States,
    Groups,
    CloseMember,
    Terminate,
];

/// What is kept with each session: a hundred for each that opened before it, and what was added since.
type Mark = usize;

/// The sessions of one endpoint: two that only look on, and then the one whose callback acts.
const SUBJECT: usize = 2;

/// Room for one of the words that are sent here, and not for two.
const SHORT_QUEUE: usize = 8;

/// Does the operation once, in one callback of the third session.
struct Actor {
    callback: Callback,
    operation: Operation,
    sessions: Vec<SessionId>,
    heard: Arc<Mutex<HashMap<SessionId, Vec<Callback>>>>,
    acted: mpsc::Sender<()>,
    closed: mpsc::Sender<()>,
}

impl Actor {
    /// Notes the callback; and acts if it is the one.
    fn note(&mut self, callback: Callback, session: &mut Session<'_, Mark>) {
        self.heard.lock().expect("unpoisoned").entry(session.id()).or_default().push(callback);
        if callback == self.callback && self.sessions.get(SUBJECT) == Some(&session.id()) {
            let other = self.sessions[0];
            let is_open = callback != Callback::Close;
            act(self.operation, session, other, is_open);
            self.acted.send(()).expect("the test is waiting");
        }
    }
}

impl Actor {
    fn act_for_endpoint(&mut self, endpoint: &mut Endpoint<'_, Mark>) {
        let (subject, other) = (self.sessions[SUBJECT], self.sessions[0]);
        act_from_outside(self.operation, endpoint, subject, other, true);
        self.acted.send(()).expect("the test is waiting");
    }
}

/// Through the session's own methods where there is one.
fn act(operation: Operation, session: &mut Session<'_, Mark>, other: SessionId, is_open: bool) {
    let gone = if is_open { Ok(()) } else { Err(SendError::Gone) };
    let reached = if is_open { 3 } else { 2 };
    match operation {
        SendToSelf => assert_eq!(session.send("self"), gone),
        Broadcast => assert_eq!(session.broadcast("all"), reached),
        BroadcastToOthers => assert_eq!(session.broadcast_others("rest"), 2),
        CloseSelf => session.close(4001, "self"),
        CloseSelfTwice => {
            session.close(4001, "self");
            session.close(4009, "again");
        }
        SendAfterClose => {
            session.close(4001, "self");
            assert_eq!(session.send("late"), Err(SendError::Gone));
            assert_eq!(session.send_binary(b"late"), Err(SendError::Gone));
            assert_eq!(session.broadcast("all"), 2);
        }
        Timers => {
            session.set_timer(0, Duration::from_secs(3600));
            session.cancel_timer(0);
        }
        States => {
            let (id, before) = (session.id(), *session.state());
            act_from_outside(operation, &mut session.endpoint(), id, other, is_open);
            assert_eq!(*session.state(), before + 1);
            *session.state_mut() += 1;
            assert_eq!(session.endpoint().state(id), Some(&(before + 2)));
            let (mark, mut rest) = session.split();
            *mark += 1;
            assert_eq!((rest.id(), rest.endpoint().state(other)), (id, None));
            assert_eq!(session.endpoint().state_mut(id), Some(&mut (before + 3)));
        }
        Groups => {
            assert_eq!(session.join("g"), if is_open { Ok(()) } else { Err(JoinError::Gone) });
            assert_eq!(session.endpoint().join(other, "g"), Ok(()));
            assert_eq!(session.publish_others("g", "group"), 1);
            assert_eq!((session.is_member("g"), session.leave("g")), (is_open, is_open));
            assert_eq!(session.endpoint().members("g"), [other]);
        }
        CloseMember => {
            let _ = session.join("g");
            session.close(4001, "self");
            assert_eq!(session.join("h"), Err(JoinError::Gone));
            assert_eq!((session.is_member("g"), session.publish("g", "late")), (false, 0));
        }
        Terminate => {
            session.terminate();
            let (id, mark) = (session.id(), *session.state());
            assert_eq!(session.endpoint().state(id), Some(&mark), "until its close was told");
            assert_eq!(session.send("late"), Err(SendError::Gone));
        }
        SendToOther | CloseOther | CloseAll => {
            let id = session.id();
            act_from_outside(operation, &mut session.endpoint(), id, other, is_open);
        }
    }
}

/// By names alone: the way from a timer of the endpoint, and from another thread.
fn act_from_outside(
    operation: Operation,
    endpoint: &mut Endpoint<'_, Mark>,
    subject: SessionId,
    other: SessionId,
    is_open: bool,
) {
    match operation {
        SendToSelf => assert_eq!(endpoint.send(subject, "self"), Ok(())),
        SendToOther => assert_eq!(endpoint.send(other, "other"), Ok(())),
        Broadcast => assert_eq!(endpoint.broadcast("all"), 3),
        BroadcastToOthers => assert_eq!(endpoint.broadcast_except("rest", subject), 2),
        CloseSelf => assert!(endpoint.close(subject, 4001, "self")),
        CloseSelfTwice => {
            assert!(endpoint.close(subject, 4001, "self"));
            assert!(!endpoint.close(subject, 4009, "again"));
        }
        CloseOther => {
            assert!(endpoint.close(other, 4002, "other"));
            assert_eq!(endpoint.send(other, "late"), Err(SendError::Gone));
        }
        CloseAll => {
            let sessions = endpoint.sessions();
            assert_eq!(sessions.len(), if is_open { 3 } else { 2 });
            for session in sessions {
                assert!(endpoint.close(session, 4003, "all"));
            }
            assert_eq!(endpoint.session_count(), 0);
            assert_eq!(endpoint.broadcast("late"), 0);
        }
        SendAfterClose => {
            assert!(endpoint.close(subject, 4001, "self"));
            assert_eq!(endpoint.send(subject, "late"), Err(SendError::Gone));
            assert_eq!(endpoint.broadcast("all"), 2);
        }
        States => {
            let mark = *endpoint.state(subject).expect("it is there");
            assert_eq!(mark / 100, SUBJECT);
            *endpoint.state_mut(subject).expect("it is there") += 1;
            assert_eq!(endpoint.state(subject), Some(&(mark + 1)));
            *endpoint.state_mut(other).expect("it is there") += 10;
            assert_eq!(endpoint.state(other), Some(&10));
            // A session that closes has its state until that was told.
            assert!(!is_open || endpoint.close(subject, 4001, "self"));
            assert_eq!(endpoint.state(subject), Some(&(mark + 1)));
        }
        Timers => {
            endpoint.set_timer(0, Duration::from_secs(3600));
            endpoint.cancel_timer(0);
        }
        Groups => {
            assert_eq!((endpoint.join(subject, "g"), endpoint.join(other, "g")), (Ok(()), Ok(())));
            assert_eq!(endpoint.publish_except("g", "group", subject), 1);
            assert!(endpoint.leave(subject, "g") && !endpoint.leave(subject, "g"));
            assert_eq!(endpoint.members("g"), [other]);
        }
        CloseMember => {
            assert_eq!(endpoint.join(subject, "g"), Ok(()));
            assert!(endpoint.close(subject, 4001, "self"));
            assert_eq!(endpoint.join(subject, "h"), Err(JoinError::Gone));
            assert_eq!((endpoint.member_count("g"), endpoint.publish("g", "late")), (0, 0));
        }
        Terminate => {
            assert!(endpoint.terminate(subject) && !endpoint.terminate(subject));
            assert_eq!(endpoint.send(subject, "late"), Err(SendError::Gone));
        }
    }
}

impl Handler<Mark> for Actor {
    fn admit(&mut self, _: &Request<'_>) -> Result<Mark, Refusal> {
        Ok(100 * self.sessions.len())
    }

    fn on_open(&mut self, session: &mut Session<'_, Mark>, _: &Request<'_>) {
        self.sessions.push(session.id());
        self.note(Open, session);
    }

    fn on_message(&mut self, session: &mut Session<'_, Mark>, text: &str) {
        match text {
            "fill" => {
                assert_eq!(session.send("full"), Ok(()));
                assert_eq!(session.send("more"), Err(SendError::Full));
            }
            "timer" => session.set_timer(0, Duration::from_millis(1)),
            "start" | "end" => session.join(text).expect("within limits"),
            "endpoint timer" => session.endpoint().set_timer(0, Duration::from_millis(1)),
            _ => {}
        }
        self.note(Message, session);
    }

    fn on_binary(&mut self, session: &mut Session<'_, Mark>, _: &[u8]) {
        self.note(Binary, session);
    }

    fn on_drain(&mut self, session: &mut Session<'_, Mark>, _: u64) {
        self.note(Drain, session);
    }

    fn on_timer(&mut self, session: &mut Session<'_, Mark>, _: u32) {
        self.note(Timer, session);
    }

    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_, Mark>, _: u32) {
        self.act_for_endpoint(endpoint);
    }

    fn on_group_start(&mut self, endpoint: &mut Endpoint<'_, Mark>, name: &str) {
        match name {
            "start" => self.act_for_endpoint(endpoint),
            "end" => assert!(endpoint.leave(self.sessions[SUBJECT], "end")),
            _ => {}
        }
    }

    fn on_group_end(&mut self, endpoint: &mut Endpoint<'_, Mark>, name: &str) {
        if name == "end" {
            self.act_for_endpoint(endpoint);
        }
    }

    fn on_close(&mut self, session: &mut Session<'_, Mark>, _: &Close) {
        self.note(Callback::Close, session);
        self.closed.send(()).expect("the test is waiting");
    }
}

/// What the three clients see: the two that look on, and the one whose callback acted.
fn expected(callback: Callback, operation: Operation) -> [Vec<Frame>; 3] {
    let text = |text: &str| vec![Frame::Text(text.to_owned())];
    let close = |code, reason: &str| vec![Frame::Close(code, reason.to_owned())];
    let [first, second, mut third] = match operation {
        SendToSelf => [vec![], vec![], text("self")],
        SendToOther => [text("other"), vec![], vec![]],
        Broadcast => [text("all"), text("all"), text("all")],
        BroadcastToOthers => [text("rest"), text("rest"), vec![]],
        CloseSelf | CloseSelfTwice | States => [vec![], vec![], close(4001, "self")],
        CloseOther => [close(4002, "other"), vec![], vec![]],
        CloseAll => [close(4003, "all"), close(4003, "all"), close(4003, "all")],
        SendAfterClose => [text("all"), text("all"), close(4001, "self")],
        Timers => [vec![], vec![], vec![]],
        Groups => [text("group"), vec![], vec![]],
        CloseMember => [vec![], vec![], close(4001, "self")],
        // Its connection is cut.
        Terminate => [vec![], vec![], vec![]],
    };
    match callback {
        // It had said goodbye already, and nothing goes behind the answer.
        Callback::Close => third = close(1000, ""),
        Drain => third.insert(0, Frame::Text("full".to_owned())),
        _ => {}
    }
    [first, second, third]
}

/// One endpoint, three clients, one callback, one operation.
fn play(server: &TestServer, scene: &Scene) {
    let Scene { callback, operation, prefix, endpoint, heard, act, acted, closed } = scene;
    let what = format!("{operation:?} from {callback:?}");
    let mut sockets: Vec<_> = (0..3).map(|_| WebSocket::raw(server.address, prefix)).collect();
    let subject = &mut sockets[SUBJECT];
    match callback {
        Open => {}
        Message => _ = subject.send("go"),
        Binary => _ = subject.send_binary(b"go"),
        Drain => _ = subject.send("fill"),
        Timer => _ = subject.send("timer"),
        EndpointTimer => _ = subject.send("endpoint timer"),
        GroupStart => _ = subject.send("start"),
        GroupEnd => _ = subject.send("end"),
        Callback::Close => _ = subject.send_close(1000, ""),
        Task => {
            let (operation, endpoint, act) = (*operation, *endpoint, act.clone());
            let posted = server.handle.run(move |context| {
                let mut endpoint = context.endpoint(endpoint);
                let sessions = endpoint.sessions();
                act_from_outside(operation, &mut endpoint, sessions[SUBJECT], sessions[0], true);
                act.send(()).expect("the test is waiting");
            });
            assert_eq!(posted, Ok(()));
        }
    }
    acted.recv_timeout(PATIENCE).expect(&what);
    for (number, (socket, frames)) in sockets.iter_mut().zip(expected(*callback, *operation)).enumerate() {
        for frame in &frames {
            assert_eq!(socket.next(), *frame, "{what}");
        }
        match frames.last() {
            Some(Frame::Close(code, _)) if *callback != Callback::Close || *code != 1000 => {
                _ = socket.send_close(*code, "")
            }
            Some(Frame::Close(..)) => {}
            _ if *operation == Terminate && number == SUBJECT => {}
            // Its end shows that nothing else was on its way.
            _ => {
                socket.send_close(1000, "");
                assert_eq!(socket.next(), Frame::Close(1000, String::new()), "{what}");
            }
        }
        socket.client.expect_end();
    }
    for _ in 0..3 {
        closed.recv_timeout(PATIENCE).expect(&what);
    }
    assert!(closed.try_recv().is_err(), "{what}: more than one close for a session");
    let heard = heard.lock().expect("unpoisoned");
    assert_eq!(heard.len(), 3, "{what}");
    for callbacks in heard.values() {
        let count = |wanted| callbacks.iter().filter(|callback| **callback == wanted).count();
        assert_eq!((count(Open), count(Callback::Close)), (1, 1), "{what}: {callbacks:?}");
        assert_eq!(callbacks.first(), Some(&Open), "{what}");
        assert_eq!(callbacks.last(), Some(&Callback::Close), "{what}");
    }
}

struct Scene {
    callback: Callback,
    operation: Operation,
    prefix: String,
    endpoint: EndpointId<Mark>,
    heard: Arc<Mutex<HashMap<SessionId, Vec<Callback>>>>,
    act: mpsc::Sender<()>,
    acted: mpsc::Receiver<()>,
    closed: mpsc::Receiver<()>,
}

/// Rule 7.7, for every operation from every callback.
#[test]
fn every_operation_from_every_callback() {
    let mut scenes = Vec::new();
    let panics = Arc::new(Mutex::new(0));
    let server = TestServer::start(ServerOptions::default(), |server| {
        let panics = Arc::clone(&panics);
        server.observe(move |event| {
            if let sockjs_server::Event::Panicked { .. } = event {
                *panics.lock().expect("unpoisoned") += 1;
            }
        });
        for callback in CALLBACKS {
            for operation in OPERATIONS {
                if (callback, operation) == (Open, Terminate) {
                    // The answer to the upgrade is dropped with the connection: the client has no WebSocket.
                    continue;
                }
                let heard = Arc::default();
                let (act, acted) = mpsc::channel();
                let (told, closed) = mpsc::channel();
                let actor = Actor {
                    callback,
                    operation,
                    sessions: Vec::new(),
                    heard: Arc::clone(&heard),
                    acted: act.clone(),
                    closed: told,
                };
                let mut options = EndpointOptions::default();
                if callback == Drain {
                    options.send_queue = SHORT_QUEUE;
                }
                let prefix = format!("/{callback:?}/{operation:?}");
                let endpoint = server.mount_with(&prefix, options, actor).expect("mount");
                scenes.push(Scene { callback, operation, prefix, endpoint, heard, act, acted, closed });
            }
        }
    });
    for scene in &scenes {
        play(&server, scene);
    }
    assert_eq!(*panics.lock().expect("unpoisoned"), 0, "an assertion in a callback");
}

/// When one leaves, all are told and sent away.
struct Dominoes {
    closes: mpsc::Sender<SessionId>,
}

impl Handler for Dominoes {
    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_close(&mut self, session: &mut Session<'_>, _: &Close) {
        self.closes.send(session.id()).expect("the test is waiting");
        session.broadcast("it begins");
        for other in session.endpoint().sessions() {
            session.endpoint().close(other, 4000, "all of you");
        }
    }
}

#[test]
fn a_close_may_close_all_the_others() {
    let (closes, heard) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/dominoes", Dominoes { closes }).expect("mount");
    });
    let mut sockets: Vec<_> = (0..20).map(|_| WebSocket::raw(server.address, "/dominoes")).collect();
    sockets.pop().expect("there are twenty").leave();
    for mut socket in sockets {
        assert_eq!(socket.text(), "it begins");
        socket.expect_close(4000, "all of you");
    }
    server.wait_for("the end of all", |counters| counters.closed == 20 && counters.sessions == 0);
    let mut ids: Vec<_> = heard.try_iter().map(|id| id.to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20, "one close for each");
}

/// Rule 7.7: messages that came in one packet behind the one that closes are not heard.
#[test]
fn no_message_after_the_close() {
    let (told, heard) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server
            .mount("/once", move |session: &mut Session<'_>, text: &str| {
                told.send(text.to_owned()).expect("the test is waiting");
                session.close(4000, "enough");
            })
            .expect("mount");
    });
    let mut socket = WebSocket::sockjs(server.address, "/once");
    socket.send(r#"["first","second"]"#).send(r#"["third"]"#);
    assert_eq!(socket.text(), r#"c[4000,"enough"]"#);
    socket.expect_close(1000, "Normal closure");
    server.wait_for("the end", |counters| counters.sessions == 0);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["first"]);
}
