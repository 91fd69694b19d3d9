//! Plays a script on the driver of simulations: sockets are buffers, and time passes when the script says so.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sockjs_server::engine::{EndpointNumber, Engine, ManualClock};
use sockjs_server::loopback::{Loopback, SocketId};
use sockjs_server::{EndpointOptions, Overflow, ServerOptions};

use super::program::{Asked, GROUP_NAME, Program, Told};
use super::script::{CROWD, Crowd, Script, Step};
use crate::checks::Random;

/// How the bytes of one step reach the engine.
#[derive(Clone, Copy, PartialEq)]
pub enum Cut {
    Whole,
    WithinTurn,
    TurnForEach,
}

/// What was seen when all was over.
pub struct Record {
    pub clients: Vec<Client>,
    pub told: Vec<Told>,
    pub sent: Vec<Vec<usize>>,
    /// Somewhere reading had to wait, so that what was read when depends on how it was cut.
    pub throttled: bool,
    /// Somewhere a read was more than one turn, or more than one flush, takes: what happened in which depends on it.
    pub parted: bool,
    pub full: bool,
    pub stopped: bool,
}

/// A client.
#[derive(Default)]
pub struct Client {
    hung_up: bool,
    /// It left before the end.
    left: bool,
    was_reset: bool,
    was_hungry: bool,
    /// The server ended its side.
    shut: bool,
    /// The server dropped the connection while the client was there.
    cut_off: bool,
    /// It did so where an answer may find no room: others do not read, and the server has little memory.
    had_no_room: bool,
    /// How many requests it wrote, as long as it wrote nothing else.
    questions: usize,
    wrote_other: bool,
    pub received: Vec<u8>,
    pub asked: Vec<Asked>,
    /// The session, if it became a WebSocket's.
    pub websocket: Option<usize>,
    /// The messages sent to that when everybody had read all there was.
    pub due: Vec<usize>,
}

impl Client {
    /// It read everything, and stayed until the server had said all it had to say.
    pub fn is_faithful(&self) -> bool {
        self.shut && !self.was_hungry
    }

    /// It left, or stopped reading for a while: how much it received depends on when that was.
    pub fn is_cut_short(&self) -> bool {
        self.left || self.was_hungry
    }

    /// How many answers it must have had: it only asked what can be answered at once, and read all of it, though it may
    /// have hung up behind its last question.
    pub fn answers_due(&self) -> Option<usize> {
        let asked_well = !self.wrote_other && !self.was_hungry && !self.was_reset;
        (asked_well && !self.had_no_room).then_some(self.questions)
    }

    /// What it received, but for what is random there; and but for the invitations to send a body, which nobody gets
    /// who began with it (RFC 9110 §10.1.1).
    pub fn output(&self) -> Option<String> {
        let output = self.received.escape_ascii().to_string();
        // Its length is random too, and may be all that it read.
        let is_random = output.contains("application/json");
        (!is_random).then(|| output.replace("HTTP/1.1 100 Continue\\r\\n\\r\\n", ""))
    }

    pub fn shown(&self) -> String {
        self.received.escape_ascii().to_string().replace("\\r\\n", "\n")
    }
}

pub struct World<'s> {
    script: &'s Script,
    cut: Cut,
    random: Random,
    clock: ManualClock,
    engine: Engine,
    program: Program,
    network: Loopback,
    clients: Vec<Client>,
    sockets: Vec<SocketId>,
    turn: Turn,
    /// What others ask of the engine waits for the end of the turn.
    mail: Vec<Step>,
    parted: bool,
    stopped: bool,
    /// Of the endpoints, at most.
    app_timers: usize,
}

/// Whether a turn is under way: the first arrival begins it.
#[derive(PartialEq)]
enum Turn {
    Begun,
    Over,
}

const ENDPOINTS: usize = 2;

/// Of the endpoints here.
pub const RESPONSE_LIMIT: usize = 4096;

/// How much larger an escape can make the bytes of a message.
const LONGEST_ESCAPE: usize = 6;

/// Of the endpoint for large ones.
const LARGEST_MESSAGE: usize = 2 << 20;

/// One read of the reactor's.
const BUFFER: usize = 64 << 10;

/// No answer to a small input is larger than this, and none is queued behind it while it waits: 64 KiB and the last
/// message, which an html file writes nearly twice as large. The largest message of the application comes on top of it.
const MOST_WAITING: usize = 160 << 10;

impl<'s> World<'s> {
    pub fn play(script: &'s Script, cut: Cut) -> Record {
        let mut options = ServerOptions::default();
        options.request_line = 256;
        options.header_section = 1024;
        options.header_count = 16;
        options.connections = 512;
        options.connections_per_client = Some(512);
        options.body_size = 4096;
        options.answer_timeout = Duration::from_secs(3);
        if script.is_poor {
            // Less than the options allow, so that small inputs come to its end.
            options.buffered_bytes = 64 << 10;
        } else if script.is_modest {
            options.buffered_bytes = 1 << 20;
        }
        let clock = ManualClock::default();
        clock.set(1_000_000);
        let mut engine = Engine::new(options, Box::new(clock.clone()), 1_700_000_000);
        let mut options = EndpointOptions::default();
        options.response_limit = RESPONSE_LIMIT;
        options.message_size = 2048;
        options.send_queue = 8192;
        options.sessions = 6;
        options.group_name_length = GROUP_NAME;
        options.jsessionid = Some("Secure".into());
        options.subprotocols = vec!["chat".into()];
        engine.mount("/e", options.clone()).expect("sound options").expect("one of few");
        options.heartbeat_delay = Duration::from_millis(700);
        options.pong_timeout = Duration::from_millis(400);
        options.origins = vec!["http://a".into()];
        options.cors = false;
        options.overflow = Overflow::Skip;
        // Here crowds and large messages are at home.
        options.sessions = 300;
        options.message_size = LARGEST_MESSAGE;
        engine.mount("/o", options).expect("sound options").expect("one of few");
        let random = Random::new(script.seed);
        let (program, mut network, clients, sockets, mail): (_, Loopback, _, _, _) = Default::default();
        let (parted, stopped) = (false, false);
        if cut == Cut::WithinTurn {
            let (seed, mut random) = (usize::from(script.seed), Random::new(script.seed));
            // Long ones in longer pieces.
            network.cut_reads(move |count| 1 + random.below(count.min(2 + seed + count / 50)));
        }
        let mut world = Self {
            script,
            cut,
            random,
            clock,
            engine,
            program,
            network,
            clients,
            sockets,
            turn: Turn::Over,
            mail,
            parted,
            stopped,
            app_timers: 2 * ENDPOINTS,
        };
        for step in &script.steps {
            world.step(step);
        }
        world.end_turn();
        world.finish()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Accept if self.engine.can_accept() => self.accept(),
            Step::Accept => {}
            Step::Crowd(kind, first) => self.gather(*kind, *first),
            Step::Ask(client, questions, bytes) => {
                // Where there is little memory a download waits until it has some, and no time
                // passes at the end of a script.
                let waits = self.script.is_poor && bytes.starts_with(b"POST /read ");
                self.send(*client, bytes, Some(*questions).filter(|_| !waits));
            }
            Step::Send(client, bytes) => self.send(*client, bytes, None),
            Step::HangUp(client) => {
                let Some(socket) = self.clients.get_mut(*client) else { return };
                socket.left = true;
                self.hang_up(*client);
                self.take_events();
            }
            Step::Reset(client) => self.reset(*client),
            Step::Appetite(client, appetite) => self.feed(*client, *appetite),
            Step::Wait(by) => {
                self.end_turn();
                self.wait(*by);
            }
            Step::Program(actions) => self.program.actions.clone_from(actions),
            Step::Call(_) | Step::Stop => self.mail.push(step.clone()),
            Step::EndTurn => self.end_turn(),
        }
        self.carry_out();
        assert_eq!(self.engine.audit(), Ok(()));
    }

    /// A crowd comes in, and its clients write their first bytes, each in one piece.
    fn gather(&mut self, kind: Crowd, first: usize) {
        for name in first..first + CROWD {
            let client = self.clients.len();
            if self.engine.can_accept() {
                self.accept();
                self.clients[client].wrote_other = true;
                self.network.write(self.sockets[client], &kind.first_bytes(name));
                self.take_events();
            }
        }
    }

    fn accept(&mut self) {
        let port = self.clients.len() as u16;
        self.sockets.push(self.network.connect(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))));
        self.clients.push(Client::default());
        self.take_events();
    }

    fn send(&mut self, client: usize, bytes: &[u8], questions: Option<usize>) {
        let Some(socket) = self.clients.get_mut(client) else { return };
        if socket.hung_up || self.network.is_dropped(self.sockets[client]) {
            return;
        }
        socket.questions += questions.unwrap_or_default();
        socket.wrote_other |= questions.is_none();
        if self.cut != Cut::TurnForEach {
            self.network.write(self.sockets[client], bytes);
            return self.take_events();
        }
        // It waits for the turn in which all has come.
        let mail = std::mem::take(&mut self.mail);
        let mut rest = bytes;
        // Long ones in longer pieces.
        let longest = 2 + usize::from(self.script.seed) + bytes.len() / 50;
        while !rest.is_empty() {
            let count = 1 + self.random.below(rest.len().min(longest));
            let (piece, more) = rest.split_at(count);
            self.network.write(self.sockets[client], piece);
            self.take_events();
            if !more.is_empty() {
                self.end_turn();
            }
            rest = more;
        }
        self.mail = mail;
    }

    /// The server reads whatever is there, in the turn that is under way.
    fn take_events(&mut self) {
        self.begin_turn();
        let writes = self.network.writes();
        for rounds in 0.. {
            assert!(rounds < 10_000, "there is always more to read");
            let postponed = self.engine.postponed();
            self.network.take_events(&mut self.engine, &mut self.program);
            self.parted |= self.engine.postponed() > postponed;
            if !self.network.has_events() {
                break;
            }
        }
        // The server flushes in the middle of a turn in which much is done: behind which
        // bytes depends on how they are cut.
        self.parted |= self.network.writes() > writes;
    }

    fn begin_turn(&mut self) {
        if self.turn == Turn::Over {
            self.turn = Turn::Begun;
            self.network.begin_turn(&mut self.engine, &mut self.program);
        }
    }

    fn hang_up(&mut self, client: usize) {
        let (socket, client) = (self.sockets[client], &mut self.clients[client]);
        let was_dropped = self.network.is_dropped(socket) && !self.network.was_shut(socket);
        client.cut_off |= was_dropped && !client.hung_up;
        client.hung_up = true;
        self.network.finish(socket);
    }

    fn reset(&mut self, client: usize) {
        let Some(socket) = self.clients.get_mut(client) else { return };
        (socket.left, socket.was_reset) = (true, true);
        self.network.reset(self.sockets[client]);
        self.take_events();
    }

    /// The client reads, or stops to.
    fn feed(&mut self, client: usize, appetite: Option<usize>) {
        let Some(socket) = self.clients.get_mut(client) else { return };
        socket.was_hungry |= appetite.is_some();
        self.network.set_window(self.sockets[client], appetite);
    }

    fn wait(&mut self, by: u64) {
        let end = self.engine.now() + by;
        // As a loop that sleeps until the next deadline would.
        for _ in 0..10_000 {
            let Some(next) = self.engine.next_deadline().filter(|next| *next < end) else { break };
            self.set_time(next);
        }
        self.set_time(end);
    }

    fn set_time(&mut self, now: u64) {
        self.clock.set(now);
        self.engine.read_clock();
        self.end_turn();
        assert!(
            self.engine.next_deadline().is_none_or(|next| next > self.engine.now()),
            "due, and not dealt with"
        );
    }

    fn end_turn(&mut self) {
        self.turn();
        // The next turn does not sleep.
        for more in 0.. {
            let is_due = self.engine.next_deadline().is_some_and(|next| next <= self.engine.now());
            if !self.network.is_pending(&self.engine) && !is_due {
                break;
            }
            // A download takes a turn for each piece of it, and a long body one for each 64 KiB.
            assert!(more < 20_000, "turns without end");
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.begin_turn();
        self.network.take_events(&mut self.engine, &mut self.program);
        for step in std::mem::take(&mut self.mail) {
            match step {
                Step::Call(action) => self.program.act(&mut self.engine, action, None),
                _ => {
                    self.engine.stop(1001, "Server shutdown", &mut self.program);
                    self.stopped = true;
                }
            }
            self.carry_out();
        }
        self.network.end_turn(&mut self.engine, &mut self.program);
        self.turn = Turn::Over;
        assert_eq!(self.engine.audit(), Ok(()));
        self.check();
    }

    fn carry_out(&mut self) {
        self.network.carry_out(&mut self.engine, &mut self.program);
    }

    /// What holds at the end of every turn.
    fn check(&self) {
        let counters = self.engine.counters();
        assert_eq!(counters.connections, self.network.connections().count());
        let open = (counters.opened - counters.closed) as usize;
        assert!(open <= counters.sessions);
        // One for each connection, session and endpoint, and the application's own: two of each
        // open session and each endpoint.
        let owners = counters.connections + counters.sessions + ENDPOINTS;
        let most = owners + 2 * open + self.app_timers;
        assert!(counters.timers <= most, "{} timers for {most} owners", counters.timers);
        // A buffer that grows may be half empty.
        let (held, limit) = (counters.buffered, self.engine.options().buffered_bytes);
        // The one read that reaches the bound may go beyond it.
        assert!(held <= 2 * (limit + BUFFER), "{held} bytes are held");
        for (key, socket) in self.network.connections() {
            let is_blocked = self.network.is_blocked(socket);
            let sum = |slices: &[IoSlice<'_>]| slices.iter().map(|slice| slice.len()).sum::<usize>();
            let waiting = self.engine.outgoing(key, sum).unwrap_or_default();
            // The head of a download leaves with its first piece, in the next turn, which comes at once.
            let goes_on = is_blocked || self.network.has_events() || self.engine.is_pending();
            assert!(waiting == 0 || goes_on, "{waiting} bytes wait, and the socket takes them");
            assert!(waiting < MOST_WAITING + LONGEST_ESCAPE * self.program.largest, "{waiting} bytes wait");
            // One that takes no bytes goes on when it does, though there may be room for what it sends already.
            let goes_on = is_blocked || self.network.is_readable(socket);
            let forgotten = self.network.has_unread(socket) && !goes_on && self.engine.is_reading(key);
            assert!(!forgotten, "reading paused, and never goes on");
        }
    }

    /// Who reads again gets all that waits for it: answers, and the messages of its WebSocket.
    fn satisfy(&mut self) {
        for client in 0..self.clients.len() {
            self.feed(client, None);
        }
        // What was left unread is read in the turns that follow.
        for turn in 0.. {
            self.end_turn();
            if !self.network.has_events() {
                break;
            }
            assert!(turn < 10_000, "there is always more to read");
        }
        for (port, client) in self.clients.iter_mut().enumerate() {
            if client.hung_up || self.network.has_ended(self.sockets[port]) {
                continue;
            }
            let answered = self.program.asked.get(&(port as u16)).map_or(0, Vec::len);
            let is_patient = !client.wrote_other && !client.left && !self.stopped && !self.program.terminated;
            assert!(
                !is_patient || answered == client.questions,
                "{answered} of {} answered",
                client.questions
            );
            let session = self.program.websockets.iter().position(|opener| *opener == Some(port as u16));
            if let Some(session) = session.filter(|session| self.program.is_open(&self.engine, *session)) {
                client.due.clone_from(&self.program.sent[session]);
            }
        }
    }

    /// Everybody leaves, or falls silent; and time passes. Nothing may be left.
    fn finish(mut self) -> Record {
        // From here on the application only listens.
        self.program.actions = vec![0x1f; 1 << 12];
        for (endpoint, timer) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            self.engine.set_endpoint_timer(EndpointNumber::new(endpoint), timer, None);
        }
        self.app_timers = 0;
        self.satisfy();
        for client in 0..self.clients.len() {
            if self.script.goes_silent {
                self.feed(client, Some(0));
            } else {
                self.hang_up(client);
                self.take_events();
                self.feed(client, None);
            }
        }
        self.end_turn();
        for client in 0..self.clients.len() {
            // An end of stream behind more than is read ahead is not seen; what is written to who has gone is answered
            // with a reset.
            if self.clients[client].hung_up && self.network.has_unread(self.sockets[client]) {
                self.reset(client);
            }
        }
        self.end_turn();
        for _ in 0..10_000 {
            let Some(next) = self.engine.next_deadline() else { break };
            self.set_time(next.max(self.engine.now() + 1));
        }
        let counters = self.engine.counters();
        assert_eq!((counters.connections, counters.sessions, counters.timers), (0, 0, 0), "left behind");
        assert_eq!((counters.opened, counters.buffered), (counters.closed, 0));
        assert_eq!(
            (self.engine.open_count(EndpointNumber::new(0)), self.engine.open_count(EndpointNumber::new(1))),
            (0, 0)
        );
        assert!(self.engine.has_no_groups() && self.program.knows_of_no_group());
        assert_eq!(counters.deferred, 0);
        self.program.pages.check_end(&self.engine);
        assert_eq!(counters.skipped, self.program.skipped, "skipped, and never told");
        for (client, socket) in self.clients.iter_mut().zip(&self.sockets) {
            client.received = self.network.received(*socket).to_vec();
            client.shut = self.network.was_shut(*socket);
            client.had_no_room = client.cut_off && self.script.is_poor;
        }
        let written = self.clients.iter().map(|client| client.received.len() as u64).sum::<u64>();
        assert_eq!(counters.bytes_out, written);
        for (session, port) in self.program.websockets.iter().enumerate() {
            if let Some(client) = port.and_then(|port| self.clients.get_mut(usize::from(port))) {
                client.websocket = Some(session);
            }
        }
        for (port, asked) in std::mem::take(&mut self.program.asked) {
            self.clients[usize::from(port)].asked = asked;
        }
        let Program { told, sent, full, terminated, .. } = self.program;
        // Who was invited to send a body, or not, has taken more, or less, of what followed.
        let invited = |client: &Client| client.was_hungry && client.shown().contains("100 Continue");
        // Buffers count as they grow, and how they grow depends on where bytes are cut: so does
        // what comes of it at the bound.
        let reached_the_bound = self.script.is_modest && counters.refused.overloaded > 0;
        let throttled = self.network.pauses() > 0
            || reached_the_bound
            || self.script.is_poor
            || terminated
            || self.clients.iter().any(invited);
        let (parted, stopped) = (self.parted, self.stopped || terminated);
        Record { clients: self.clients, told, sent, throttled, parted, full, stopped }
    }
}
