//! How many messages a second get from threads of the program through a `Handle` to a client, and how long each takes.

use std::io;
use std::sync::atomic::AtomicBool;
use std::thread::scope;
use std::time::{Duration, Instant};

use sockjs_server::websocket::frame::Opcode;

use crate::child::Child;
use crate::client::{Connection, Reply, client_frame, json, payload, wrong};
use crate::floods::{Flood, Pipes};
use crate::measure::{Effort, median, micros, percentile};
use crate::producers::{Order, Target, now};
use crate::settings::{Run, Setting};

const MEMBERS: usize = 100;

/// From one message of a thread to its next, while latencies are measured.
const PACE: Duration = Duration::from_millis(1);

/// All of these settings.
pub(crate) fn all() -> Vec<Setting> {
    let setting = |name: &str, run: Run| Setting { name: name.into(), run };
    vec![
        setting("handle to one session", Box::new(|name, effort| watch(name, Target::Session, effort))),
        setting("handle to a group of 100", Box::new(|name, effort| watch(name, Target::Group, effort))),
    ]
}

/// The client that asks, and those that get the messages.
struct Audience {
    child: Child,
    target: Target,
    /// Asks, and gets the messages where they go to one session.
    asking: Connection,
    /// The last member of the group, of which each message is looked at; the others only count theirs.
    last: Option<Connection>,
    others: Pipes,
}

fn watch(setting: &str, target: Target, effort: Effort) -> io::Result<()> {
    println!("\n{setting}");
    println!(
        "  {:<12} {:>12} {:>12} | {:>10} {:>10} {:>10}  at {} a second from each",
        "",
        "messages/s",
        "CPU µs/msg",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        1_000 / PACE.as_millis()
    );
    for (threads, words) in [(1, "1 thread"), (4, "4 threads"), (16, "16 threads")] {
        // As fast as they are taken: enough for a good part of a second.
        let all = if matches!(target, Target::Session) { 480_000 } else { 48_000 };
        let count = all / threads / effort.crowd_divisor;
        let (mut rates, mut cpu, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.tail_rounds {
            let mut audience = Audience::new(target)?;
            let (before, start) = (audience.child.cpu()?, Instant::now());
            audience.hear(&Order { target, threads, count, every: Duration::ZERO })?;
            let messages = (threads * count) as f64;
            rates.push(messages / start.elapsed().as_secs_f64());
            cpu.push(micros(audience.child.cpu()? - before) / messages);
            let count = (effort.tail_round.as_micros() / PACE.as_micros()) as usize;
            latencies.extend(audience.hear(&Order { target, threads, count, every: PACE })?);
        }
        latencies.sort_by(f64::total_cmp);
        println!(
            "  {:<12} {:>12.0} {:>12.3} | {:>10.1} {:>10.1} {:>10.1}",
            words,
            median(&rates),
            median(&cpu),
            percentile(&latencies, 0.5),
            percentile(&latencies, 0.99),
            percentile(&latencies, 0.999)
        );
    }
    Ok(())
}

impl Audience {
    fn new(target: Target) -> io::Result<Self> {
        let child = Child::server()?;
        let asking = Connection::upgrade(child.address, "/produce/000/session/websocket")?;
        let mut others = Vec::new();
        if matches!(target, Target::Group) {
            for number in 0..MEMBERS {
                let path = format!("/group/000/{number}/websocket?member");
                others.push(Connection::upgrade(child.address, &path)?);
            }
        }
        let last = others.pop();
        // They have nothing to send.
        let others = Pipes::new(others, b"", &Reply::Frames(json(&now().to_string())), 0)?;
        Ok(Self { child, target, asking, last, others })
    }

    /// Has it done; says in microseconds how long each message was under way.
    fn hear(&mut self, order: &Order) -> io::Result<Vec<f64>> {
        let count = order.threads * order.count;
        self.others.set_depth(count);
        self.asking.send(&client_frame(Opcode::Text, &payload(&order.text())))?;
        let watched = match self.target {
            Target::Group => self.last.as_mut().ok_or_else(|| wrong("no member"))?,
            _ => &mut self.asking,
        };
        let others = &mut self.others;
        scope(|scope| {
            // They are over when all have come.
            let others = scope.spawn(move || others.run(&AtomicBool::new(true)));
            let latencies = times(watched, count);
            others.join().map_err(|_| wrong("the others panicked"))??;
            latencies
        })
    }
}

/// Reads so many messages that are times, and says how long ago each of them was.
fn times(connection: &mut Connection, count: usize) -> io::Result<Vec<f64>> {
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let frame = connection.message()?;
        let now = now();
        let list = frame.strip_prefix(b"a[\"").and_then(|list| list.strip_suffix(b"\"]"));
        let list = str::from_utf8(list.ok_or_else(|| wrong("no messages"))?).map_err(wrong)?;
        for time in list.split("\",\"") {
            let time: u64 = time.parse().map_err(wrong)?;
            latencies.push(now.saturating_sub(time) as f64 / 1e3);
        }
    }
    Ok(latencies)
}
