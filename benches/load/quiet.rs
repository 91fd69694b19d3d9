//! How long a quiet client waits for its echoes, one at a time, while others flood the server.
//!
//! The quiet client and the flood have a thread each on the client's core. The flood's gives way, so that a late echo
//! is late because of the server.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle, scope};
use std::time::{Duration, Instant};

use crate::child::{self, Child};
use crate::client::wrong;
use crate::floods::Flood;
use crate::lanes::{Lane, Pipe};
use crate::measure::{Effort, median, micros, percentile, verdict};

/// A server with its clients.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) child: Child,
    pub(crate) quiet: Pipe,
    pub(crate) flood: Option<Box<dyn Flood>>,
}

/// The longest wait that is allowed to the quiet client.
pub(crate) enum Goal {
    /// The 99th percentile of each scene, as a multiple of that of the first.
    Ratio(f64),
    /// The 99.9th percentile.
    Tail(Duration),
    /// Each echo, beside a flood that is over by itself.
    Longest(Duration),
}

/// The results of a scene's rounds.
struct Outcome {
    name: &'static str,
    /// The 99th percentiles, round by round.
    p99: Vec<f64>,
    /// In microseconds, sorted.
    latencies: Vec<f64>,
    /// How many units of the flood a second the server was given.
    offered: Vec<f64>,
    /// The part of the time in which other programs had the server's core: with more of it than a few parts in a
    /// thousand the latencies are theirs.
    held_up: Vec<f64>,
}

/// Runs the scenes in turn and prints their table. `unit` is the name of a part of the flood.
pub(crate) fn watch(
    setting: &str,
    mut scenes: Vec<Scene>,
    unit: &str,
    goal: &Goal,
    effort: Effort,
) -> io::Result<()> {
    let outcome = |scene: &Scene| Outcome {
        name: scene.name,
        p99: vec![],
        latencies: vec![],
        offered: vec![],
        held_up: vec![],
    };
    let mut outcomes: Vec<_> = scenes.iter().map(outcome).collect();
    // An event is over by itself; where it is not, the patience of the flood's clients ends it.
    let (rounds, length) = match goal {
        Goal::Longest(_) => (effort.events, Duration::MAX),
        _ => (effort.tail_rounds, effort.tail_round),
    };
    for _ in 0..rounds {
        for (scene, outcome) in scenes.iter_mut().zip(&mut outcomes) {
            run_round(scene, length, outcome)?;
        }
    }
    for outcome in &mut outcomes {
        outcome.latencies.sort_by(f64::total_cmp);
    }
    print(setting, &outcomes, unit, goal);
    Ok(())
}

fn run_round(scene: &mut Scene, length: Duration, outcome: &mut Outcome) -> io::Result<()> {
    if let Some(flood) = &mut scene.flood {
        flood.prepare()?;
    }
    let stop = AtomicBool::new(false);
    let (held_up, start) = (scene.child.held_up()?, Instant::now());
    let (latencies, offered) = scope(|scope| {
        let flood = scene.flood.as_deref_mut().map(|flood| start_flood(scope, flood, &stop));
        let is_over = || flood.as_ref().is_some_and(ScopedJoinHandle::is_finished);
        let latencies = talk(&mut scene.quiet, || is_over() || start.elapsed() >= length);
        // Before errors are looked at: the flood's thread is waited for.
        stop.store(true, Ordering::Relaxed);
        let offered = flood.map_or(Ok(Ok(0)), ScopedJoinHandle::join);
        let offered = offered.map_err(|_| wrong("the flood panicked"))??;
        io::Result::Ok((latencies?, offered))
    })?;
    let (held_up, elapsed) = (scene.child.held_up()? - held_up, start.elapsed().as_secs_f64());
    outcome.offered.push(offered as f64 / elapsed);
    outcome.held_up.push(held_up.as_secs_f64() / elapsed);
    let mut sorted = latencies.clone();
    sorted.sort_by(f64::total_cmp);
    outcome.p99.push(percentile(&sorted, 0.99));
    outcome.latencies.extend(latencies);
    Ok(())
}

fn start_flood<'s>(
    scope: &'s Scope<'s, '_>,
    flood: &'s mut dyn Flood,
    stop: &'s AtomicBool,
) -> ScopedJoinHandle<'s, io::Result<usize>> {
    scope.spawn(move || {
        child::give_way()?;
        flood.run(stop)
    })
}

/// Has echoes until it is over, at least one; says how long each took.
fn talk(quiet: &mut Pipe, is_over: impl Fn() -> bool) -> io::Result<Vec<f64>> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        quiet.exchange()?;
        latencies.push(micros(start.elapsed()));
        if is_over() {
            return Ok(latencies);
        }
    }
}

fn print(setting: &str, outcomes: &[Outcome], unit: &str, goal: &Goal) {
    println!("\n{setting}");
    println!(
        "  {:<12} {:>10} {:>10} {:>10} {:>10} {:>8} {:>9}  flood: {unit}",
        "", "p50 µs", "p99 µs", "p99.9 µs", "longest µs", "p99 ×", "held up"
    );
    for outcome in outcomes {
        let of = |part| percentile(&outcome.latencies, part);
        let ratio = outcomes.first().map_or(1.0, |first| ratio(outcome, first));
        println!(
            "  {:<12} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>8.2} {:>7.1} %  {:.0}/s",
            outcome.name,
            of(0.5),
            of(0.99),
            of(0.999),
            of(1.0),
            ratio,
            median(&outcome.held_up) * 100.0,
            median(&outcome.offered)
        );
    }
    let milliseconds = |limit: &Duration| limit.as_secs_f64() * 1e3;
    for (number, outcome) in outcomes.iter().enumerate() {
        let Outcome { name, latencies, .. } = outcome;
        let line = match goal {
            Goal::Ratio(_) if number == 0 => continue,
            Goal::Ratio(limit) => {
                let first = &outcomes[0];
                verdict(&format!("{name} / {}, p99", first.name), ratio(outcome, first), *limit)
            }
            Goal::Tail(limit) => {
                let what = format!("{name}, p99.9 in ms");
                verdict(&what, percentile(latencies, 0.999) / 1e3, milliseconds(limit))
            }
            Goal::Longest(limit) => {
                let what = format!("{name}, longest echo in ms");
                verdict(&what, percentile(latencies, 1.0) / 1e3, milliseconds(limit))
            }
        };
        println!("  {line}");
    }
}

/// The median of what rounds side by side say.
fn ratio(one: &Outcome, other: &Outcome) -> f64 {
    let ratios: Vec<_> = one.p99.iter().zip(&other.p99).map(|(one, other)| one / other).collect();
    median(&ratios)
}
