//! The settings in which a quiet client is watched: the floods beside it, and its goals.

use std::io;
use std::time::Duration;

use sockjs_server::websocket::frame::Opcode;

use crate::child::Child;
use crate::client::{Connection, Reply, client_frame, handshake, json, server_frame, text};
use crate::crowds::{Abandoned, Leaving, Produced};
use crate::echo::{Echo, SOCKJS};
use crate::floods::{Flood, Once, Paced, Pipes};
use crate::floor::BUFFER;
use crate::lanes::{Fan, Lane, Visit};
use crate::measure::Effort;
use crate::producers::{NOTICE, Order, Target};
use crate::quiet::{Goal, Scene, watch};
use crate::settings::{Run, Setting};

/// A quiet client's message.
const SIZE: usize = 20;

/// The 99th percentile may be so many times the floor's.
const RATIO: f64 = 1.5;

/// The highest 99.9th percentile beside a flood that the floor does not have.
const TAIL: Duration = Duration::from_millis(5);

/// The longest echo beside a single event that takes the server more than one turn.
const LONGEST: Duration = Duration::from_millis(50);

/// Makes a flood for a server; crowds are smaller by the divisor.
type Make = fn(&Child, usize) -> io::Result<Box<dyn Flood>>;

/// All of these settings, in the order in which they run.
pub(crate) fn all() -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |name: String, run: Run| settings.push(Setting { name, run });
    add("tail alone".into(), Box::new(|name, effort| beside_echoes(name, 0, SIZE, 1, effort)));
    for (count, size, words, depth) in
        [(20, SIZE, "20 B", 64), (4, 1 << 20, "1 MiB", 2), (20, 64 << 10, "64 KiB", 16)]
    {
        let name = format!("tail beside {count} echoes of {words}, depth {depth}");
        add(name, Box::new(move |name, effort| beside_echoes(name, count, size, depth, effort)));
    }
    let floods: [(&str, &str, Make); 5] = [
        ("pings", "pings", pings),
        ("broadcasts to 1,000", "deliveries", broadcasts),
        ("1,000 connects a second", "connects", connects),
        ("10,000 abandoned sessions a second", "sessions", abandoned),
        ("a reader that has stopped", "messages for it", stopped),
    ];
    for (what, unit, make) in floods {
        let run = move |name: &str, effort| beside(name, unit, &Goal::Tail(TAIL), make, effort);
        add(format!("tail beside {what}"), Box::new(run));
    }
    let events: [(&str, &str, Make); 2] = [
        ("2,000 of 5,000 that leave at once", "ends", leaving),
        ("5,000 broadcasts of a handle to 1,000", "broadcasts", handle),
    ];
    for (what, unit, make) in events {
        let run = move |name: &str, effort| beside(name, unit, &Goal::Longest(LONGEST), make, effort);
        add(format!("tail beside {what}"), Box::new(run));
    }
    settings
}

/// Quiet client and flood have the same kind of echo, and each kind is compared with the floor. That one moves as much
/// at once as the server does, whatever the size: a larger share would hold up its own quiet client.
fn beside_echoes(name: &str, count: usize, size: usize, depth: usize, effort: Effort) -> io::Result<()> {
    let scene = |echo: Echo| {
        let child = echo.serve()?;
        let quiet = echo.pipe(&child, &text(SIZE), 1)?;
        let text = text(size);
        let flooders = (0..count).map(|_| echo.open(&child)).collect::<io::Result<Vec<_>>>()?;
        let pipes = Pipes::new(flooders, &echo.request(&text), &echo.reply(&text), depth)?;
        let flood = (count > 0).then(|| Box::new(pipes) as Box<dyn Flood>);
        Ok(Scene { name: echo.name(), child, quiet, flood })
    };
    let scenes = [Echo::Floor(BUFFER), Echo::Raw, Echo::SockJs].into_iter().map(scene);
    watch(name, scenes.collect::<io::Result<_>>()?, "echoes", &Goal::Ratio(RATIO), effort)
}

/// A quiet client of our server alone, since the floor has no such flood.
fn beside(name: &str, unit: &str, goal: &Goal, make: Make, effort: Effort) -> io::Result<()> {
    let child = Child::server()?;
    let quiet = Echo::SockJs.pipe(&child, &text(SIZE), 1)?;
    let flood = Some(make(&child, effort.crowd_divisor)?);
    watch(name, vec![Scene { name: SOCKJS, child, quiet, flood }], unit, goal, effort)
}

fn pings(child: &Child, _: usize) -> io::Result<Box<dyn Flood>> {
    let flooders = (0..20).map(|_| Echo::Raw.open(child)).collect::<io::Result<_>>()?;
    let content = text(SIZE);
    let pong = Reply::Exact(server_frame(Opcode::Pong, content.as_bytes()));
    let ping = client_frame(Opcode::Ping, content.as_bytes());
    Ok(Box::new(Pipes::new(flooders, &ping, &pong, 64)?))
}

/// The next broadcast follows when the last one has come to all.
fn broadcasts(child: &Child, divisor: usize) -> io::Result<Box<dyn Flood>> {
    let text = text(SIZE);
    let lane = Fan {
        sender: Connection::upgrade(child.address, "/broadcast/websocket")?,
        trigger: client_frame(Opcode::Text, text.as_bytes()),
        receivers: crowd(child, "/broadcast", 1_000 / divisor)?,
        silent: Vec::new(),
        reply: Reply::Frames(json(&text)),
        times: 1,
    };
    Ok(Box::new(Paced { lane, every: Duration::ZERO }))
}

/// Each client opens a session, and hangs up.
fn connects(child: &Child, _: usize) -> io::Result<Box<dyn Flood>> {
    let words = vec![
        (handshake("/echo/000/session/websocket"), Reply::Answer(101, Vec::new())),
        (Vec::new(), Reply::Exact(server_frame(Opcode::Text, b"o"))),
    ];
    let lane = Visit { address: child.address, words };
    Ok(Box::new(Paced { lane, every: Duration::from_millis(1) }))
}

fn abandoned(child: &Child, _: usize) -> io::Result<Box<dyn Flood>> {
    let lane = Abandoned { connection: Connection::open(child.address)?, at_once: 100, opened: 0 };
    Ok(Box::new(Paced { lane, every: Duration::from_millis(10) }))
}

/// A broadcast to two, of which one reads; the other's queue is full.
fn stopped(child: &Child, _: usize) -> io::Result<Box<dyn Flood>> {
    let text = text(16 << 10);
    let mut lane = Fan {
        sender: Connection::upgrade(child.address, "/skip/websocket")?,
        trigger: client_frame(Opcode::Text, text.as_bytes()),
        receivers: crowd(child, "/skip", 1)?,
        silent: crowd(child, "/skip", 1)?,
        reply: Reply::Frames(json(&text)),
        times: 1,
    };
    // More than the buffers of both sockets and the server's queue hold.
    for _ in 0..1_000 {
        lane.exchange()?;
    }
    Ok(Box::new(Paced { lane, every: Duration::ZERO }))
}

fn leaving(child: &Child, divisor: usize) -> io::Result<Box<dyn Flood>> {
    let counts = (3_000 / divisor, 2_000 / divisor);
    let notice = Reply::Frames(json(NOTICE));
    Ok(Box::new(Leaving::new(child, "/chat/000/session/websocket", counts, notice)?))
}

fn handle(child: &Child, divisor: usize) -> io::Result<Box<dyn Flood>> {
    let count = 5_000 / divisor;
    let order = Order { target: Target::Everybody, threads: 1, count, every: Duration::ZERO };
    Ok(Box::new(Once(Produced {
        trigger: client_frame(Opcode::Text, order.text().as_bytes()),
        sender: Connection::upgrade(child.address, "/produce/websocket")?,
        receivers: crowd(child, "/broadcast", 1_000 / divisor)?,
        message: Reply::Frames(json(NOTICE)),
        count,
    })))
}

fn crowd(child: &Child, prefix: &str, count: usize) -> io::Result<Vec<Connection>> {
    let open = |number| Connection::upgrade(child.address, &format!("{prefix}/000/{number}/websocket"));
    (0..count).map(open).collect()
}
