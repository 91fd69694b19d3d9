//! `memory_ceiling` is the truth (rule 12.13): whatever clients do, the engine uses no more than it says. The
//! engine is driven without sockets, every byte that it allocates is counted, and no client reads what it gets.

#[path = "../examples/tls/layer.rs"]
#[allow(dead_code, reason = "certificates are made here")]
mod layer;
#[path = "ceiling/tls.rs"]
mod tls;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sockjs_server::collections::Key;
use sockjs_server::engine::{
    Application, Arrival, Close, Connection, EndpointNumber, Engine, Event, ManualClock, Message, Order,
    Refusal, Reply, Request, Response, Session,
};
use sockjs_server::{Body, EndpointId, EndpointOptions, Handle, HandleError, Server, ServerOptions};

static IN_USE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// This thread is inside of the engine.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, which counts what the engine holds.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old memory and the new one are there at once, at worst.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(size: isize) {
    // A thread that ends may allocate after its flag is gone.
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        let now = IN_USE.fetch_add(size, Ordering::Relaxed) + size;
        PEAK.fetch_max(now, Ordering::Relaxed);
    }
}

/// What the engine allocates in this call is counted.
fn counted<T>(call: impl FnOnce() -> T) -> T {
    COUNTED.set(true);
    let outcome = call();
    COUNTED.set(false);
    outcome
}

/// The program: broadcasts what it is told to, closes on `close`, and has a page of 100,000 bytes. What it
/// allocates for itself is not counted.
struct Program;

/// A large body whose bytes are made as they are asked for.
struct Endless;

impl Read for Endless {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        room.fill(b'r');
        Ok(room.len())
    }
}

/// A page that the program holds, and all clients share.
fn shared_page() -> Arc<[u8]> {
    static PAGE: OnceLock<Arc<[u8]>> = OnceLock::new();
    Arc::clone(PAGE.get_or_init(|| vec![b's'; 400_000].into()))
}

impl Application for Program {
    fn admit(&mut self, _: EndpointNumber, _: &Request<'_>) -> Result<(), Refusal> {
        Ok(())
    }
    fn opened(&mut self, _: &mut Engine, _: Key<Session>, _: &Request<'_>) {}
    fn message(&mut self, engine: &mut Engine, key: Key<Session>, message: Message<'_>) {
        match message {
            Message::Text("join") => join(engine, key),
            Message::Text("close") => _ = engine.close(key, 3000, "Go away!"),
            Message::Text(text) => _ = engine.broadcast(EndpointNumber::new(0), text, None),
            Message::Binary(_) => {}
        }
    }
    fn closed(&mut self, _: &mut Engine, _: Key<Session>, _: &Close) {}
    fn drained(&mut self, _: &mut Engine, _: Key<Session>, _: u64) {}
    fn group_started(&mut self, _: &mut Engine, _: EndpointNumber, _: &str) {}
    fn group_ended(&mut self, _: &mut Engine, _: EndpointNumber, _: &str) {}
    fn session_timer(&mut self, _: &mut Engine, _: Key<Session>, _: u32) {}
    fn endpoint_timer(&mut self, _: &mut Engine, _: EndpointNumber, _: u32) {}
    fn observe(&mut self, _: &Event<'_>) {}
    fn respond(&mut self, _: &mut Engine, request: &Request<'_>, _: &[u8]) -> Reply {
        static STATIC: [u8; 100_000] = [b's'; 100_000];
        let ok = Response::new(200);
        match request.path() {
            "/later" => Reply::later(request).0,
            "/shared" => ok.body(shared_page()).into(),
            // One of its own for each answer, which only the server holds.
            "/handed-over" => ok.body(Arc::<[u8]>::from(vec![b's'; 50_000])).into(),
            "/static" => ok.body(&STATIC).into(),
            "/read" => ok.body(Body::reader(Endless)).into(),
            "/sized" => ok.body(Body::sized_reader(Endless, u64::MAX)).into(),
            _ => ok.body(vec![b'p'; 100_000]).into(),
        }
    }
}

/// As many groups as a session may be in, each of them its own and with a long name.
fn join(engine: &mut Engine, key: Key<Session>) {
    for number in 0..GROUPS {
        let name = format!("{:>5} {number:>122}", key.index());
        assert_eq!(engine.join(key, &name), Ok(()));
    }
}

/// Groups of one session.
const GROUPS: usize = 32;

/// The engine, and clients that take at most `room` bytes each.
struct World {
    engine: Engine,
    room: usize,
    /// Connections yet to come: some are dropped meanwhile, so that their number alone would have no end.
    left: usize,
}

impl World {
    /// A session may be in so many `groups`.
    fn new(connections: usize, room: usize, groups: usize) -> Self {
        let mut options = ServerOptions::default();
        options.connections = connections;
        options.connections_per_client = Some(1);
        options.buffered_bytes = 1 << 20;
        options.body_size = 64 << 10;
        let mut endpoint = EndpointOptions::default();
        endpoint.sessions = connections;
        // Groups that a row does not use would be promised too, and hide memory that it uses beyond the rest.
        (endpoint.groups, endpoint.groups_per_session) = (connections * groups, groups);
        endpoint.message_size = 1 << 20;
        endpoint.heartbeat_delay = Duration::from_secs(30);
        let engine = counted(|| {
            let mut engine = Engine::new(options, Box::new(ManualClock::default()), 0);
            engine.mount("/e", endpoint).expect("sound options");
            engine
        });
        Self { engine, room, left: connections }
    }

    /// Bytes from a client, as reads bring them, each in a turn of its own or all in one.
    fn send(&mut self, key: Key<Connection>, bytes: &[u8], ends_turn: bool) {
        for piece in bytes.chunks(64 << 10) {
            let mut piece = piece.to_vec();
            if self.engine.ask_to_read(key) {
                let arrival = Arrival::Bytes(&mut piece);
                counted(|| self.engine.receive(key, arrival, &mut Program));
            }
            self.carry_out();
            if ends_turn {
                self.end_turn();
            }
        }
    }

    fn connect(&mut self) -> Option<Key<Connection>> {
        self.left = self.left.checked_sub(1)?;
        // Each is a client of its own, as far as addresses say.
        let address = Ipv6Addr::from_bits((self.left as u128) << 64);
        let peer = Some(SocketAddr::from((address, 4711)));
        self.engine.can_accept().then(|| counted(|| self.engine.accept(peer)))
    }

    fn end_turn(&mut self) {
        counted(|| self.engine.advance(0, &mut Program));
        self.carry_out();
        counted(|| self.engine.begin_turn(&mut Program));
        while counted(|| self.engine.go_on(&mut Program)) {
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(order) = counted(|| self.engine.next_order(&mut Program)) {
            if let Order::Write(key) = order {
                let waiting =
                    self.engine.outgoing(key, |slices| slices.iter().map(|slice| slice.len()).sum());
                let waiting: usize = waiting.unwrap_or_default();
                counted(|| self.engine.sent(key, waiting.min(self.room), waiting > self.room));
            }
        }
        assert_eq!(self.engine.audit(), Ok(()));
    }
}

fn frame(first: u8, announced: u64, payload: &[u8]) -> Vec<u8> {
    [&[first, 0xff][..], &announced.to_be_bytes(), &[0; 4], payload].concat()
}

fn upgrade(path: &str) -> String {
    format!(
        "GET /e/{path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Plays a scene with so many connections, whose clients take so many bytes at once, and compares what
/// was used with what was promised.
fn check(what: &str, connections: usize, room: usize, play: impl FnOnce(&mut World)) {
    check_with_groups(what, connections, room, 0, play);
}

fn check_with_groups(
    what: &str,
    connections: usize,
    room: usize,
    groups: usize,
    play: impl FnOnce(&mut World),
) {
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut world = World::new(connections, room, groups);
    play(&mut world);
    let ceiling = world.engine.memory_ceiling();
    let used = (PEAK.load(Ordering::Relaxed) - before) as usize;
    let World { engine, .. } = world;
    counted(|| drop(engine));
    println!("{what:<60} {:>6.2}", used as f64 / ceiling as f64);
    assert!(used <= ceiling, "{what}: {used} bytes were used, and {ceiling} promised");
}

/// Posts a command that does nothing but hold memory.
type Post = fn(&Handle, EndpointId) -> Result<(), HandleError>;

/// Posts a million commands to a server that carries some of them out now and then, and compares the memory that was
/// used with the promise; and the memory that is kept behind the burst with none.
fn check_mailbox(what: &str, mailbox: usize, pause: usize, post: Post) {
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut options = ServerOptions::default();
    // Little beside the mailbox.
    options.connections = 1;
    options.buffered_bytes = 1 << 20;
    options.body_size = 0;
    options.mailbox_bytes = mailbox;
    let mut server = counted(|| Server::new(options).expect("server"));
    let mut endpoint = EndpointOptions::default();
    (endpoint.sessions, endpoint.message_size) = (1, 1);
    let mount = || server.mount_with("/e", endpoint, |_: &mut sockjs_server::Session<'_>, _: &str| {});
    let endpoint = counted(mount).expect("a free prefix");
    let handle = server.handle();
    let idle = IN_USE.load(Ordering::Relaxed);
    let mut refused = 0;
    for number in 0..1_000_000 {
        match counted(|| post(&handle, endpoint)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, HandleError::Busy);
                refused += 1;
            }
        }
        if number % pause == pause - 1 {
            counted(|| server.turn(Some(Duration::ZERO)).expect("turn"));
        }
    }
    assert!(refused > 0, "{what}: the mailbox was never full");
    let ceiling = server.memory_ceiling();
    let used = (PEAK.load(Ordering::Relaxed) - before) as usize;
    while handle.pending().commands > 0 {
        counted(|| server.turn(Some(Duration::ZERO)).expect("turn"));
    }
    let kept = IN_USE.load(Ordering::Relaxed) - idle;
    counted(|| drop(server));
    println!("{what:<60} {:>6.2}", used as f64 / ceiling as f64);
    assert!(used <= ceiling, "{what}: {used} bytes were used, and {ceiling} promised");
    assert!(kept < 64 << 10, "{what}: {kept} bytes are kept when all is done");
}

/// One after the other, since all of them share the counters.
#[test]
fn the_ceiling_holds() {
    println!("{:<60} used / promised", "");
    check("frames behind our close, announced and begun", 500, 1 << 20, |world| {
        while let Some(key) = world.connect() {
            world.send(key, upgrade("000/s/websocket").as_bytes(), false);
            world.send(key, &[&[0x81, 0x87, 0, 0, 0, 0][..], b"\"close\""].concat(), true);
            world.send(key, &frame(0x82, 1 << 20, &vec![0; 1_040_000]), true);
        }
    });
    check("polls that wait, with much to be echoed", 2000, 1 << 20, |world| {
        let echoed = "a".repeat(7_000);
        let mut number = 0;
        while let Some(key) = world.connect() {
            let fields = format!("Origin: {echoed}\r\nAccess-Control-Request-Headers: {echoed}\r\n");
            for _ in 0..2 {
                world.send(
                    key,
                    format!("POST /e/0/{number}/xhr HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes(),
                    false,
                );
            }
            number += 1;
        }
    });
    check("pages of the program that no client reads", 1000, 0, |world| {
        while let Some(key) = world.connect() {
            world.send(key, b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n", true);
        }
    });
    for path in ["shared", "handed-over", "static", "read", "sized"] {
        for room in [0, 1000] {
            check(&format!("a body of another kind: {path}, taking {room}"), 1000, room, |world| {
                let request = format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(3);
                while let Some(key) = world.connect() {
                    world.send(key, request.as_bytes(), true);
                }
                (0..20).for_each(|_| world.end_turn());
            });
        }
    }
    check("requests whose answers come later, with others behind them", 2000, 0, |world| {
        let requests = [&b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n"[..], &vec![b'x'; 100_000]].concat();
        while let Some(key) = world.connect() {
            world.send(key, &requests, true);
        }
    });
    check("OPTIONS in one turn whose answers no client reads", 1000, 0, |world| {
        let request =
            b"OPTIONS /e/0/s/xhr HTTP/1.1\r\nHost: h\r\nOrigin: http://a.example\r\n\r\n".repeat(100);
        while let Some(key) = world.connect() {
            world.send(key, &request, false);
        }
    });
    for path in ["htmlfile?c=c", "eventsource", "jsonp?c=c", "xhr_streaming", "websocket"] {
        for room in [0, 1 << 20] {
            check(&format!("escapes to one receiver: {path}, taking {room}"), 4, room, |world| {
                let receiver = world.connect().expect("room");
                let method = if path == "xhr_streaming" { "POST" } else { "GET" };
                match path {
                    "websocket" => world.send(receiver, upgrade("000/s/websocket").as_bytes(), true),
                    _ => {
                        let request = format!("{method} /e/0/s/{path} HTTP/1.1\r\nHost: h\r\n\r\n");
                        world.send(receiver, request.as_bytes(), true);
                    }
                }
                let sender = world.connect().expect("room");
                world.send(sender, upgrade("websocket").as_bytes(), true);
                for length in [500_000, 100_000, 30_000, 30_000, 30_000] {
                    world.send(sender, &frame(0x81, length as u64, &vec![1; length]), true);
                }
            });
        }
    }
    check("clients that say nothing", 115_000, 0, |world| while world.connect().is_some() {});
    check("unfinished requests and messages", 1000, 1 << 20, |world| {
        while let Some(key) = world.connect() {
            world.send(key, upgrade("websocket").as_bytes(), false);
            world.send(key, &frame(0x82, 1 << 20, &vec![0; 200_000]), true);
            let Some(key) = world.connect() else { return };
            let head = "POST /e/0/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n";
            world.send(key, &[head.as_bytes(), &vec![b'x'; 300_000]].concat(), true);
        }
    });
    check("pings whose pongs no client reads", 2000, 0, |world| {
        let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[7; 125]].concat().repeat(50);
        while let Some(key) = world.connect() {
            world.send(key, upgrade("websocket").as_bytes(), false);
            world.send(key, &ping, false);
        }
    });
    check_with_groups("groups of their own, with long names", 1000, 1 << 20, GROUPS, |world| {
        while let Some(key) = world.connect() {
            world.send(key, upgrade("websocket").as_bytes(), false);
            world.send(key, &[&[0x81, 0x84, 0, 0, 0, 0][..], b"join"].concat(), true);
        }
    });
    check("broadcasts that no client reads", 500, 0, |world| {
        let mut last = None;
        while let Some(key) = world.connect() {
            let path = if last.is_none() { "websocket" } else { "000/s/websocket" };
            world.send(key, upgrade(path).as_bytes(), false);
            last = Some(key);
            world.send(key, &[&[0x81, 0x85, 0, 0, 0, 0][..], b"\"abc\""].concat(), false);
        }
    });
    tls::check_all();
    for (what, post) in [
        ("a million commands from Handles: short texts", (|it, all| it.broadcast(all, "abc")) as Post),
        ("a million commands from Handles: texts", |it, all| it.broadcast(all, "x".repeat(300))),
        ("a million commands from Handles: tasks", |it, _| it.run(|_| {})),
    ] {
        for pause in [30_000, 200_000, 1_000_000] {
            check_mailbox(&format!("{what}, a turn in {pause}"), 16 << 20, pause, post);
        }
    }
}
