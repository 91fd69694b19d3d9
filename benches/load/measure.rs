//! Rounds in turn, and what they amount to.
//!
//! Machines are noisy, and their noise lasts longer than a round. So the contestants of a setting take turns (ABCABC…),
//! each round is compared with the rounds of the others beside it, and what is printed are medians.

use std::io;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::lanes::Lane;

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) warm_up: Duration,
    pub(crate) round: Duration,
    pub(crate) rounds: usize,
    /// The size of a crowd, as a part of the full one.
    pub(crate) crowd_divisor: usize,
    /// How long idle sessions are watched.
    pub(crate) idle: Duration,
    /// How long and how often a quiet client is watched beside a flood, and how often beside a single event.
    pub(crate) tail_round: Duration,
    pub(crate) tail_rounds: usize,
    pub(crate) events: usize,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_millis(200),
        round: Duration::from_millis(150),
        rounds: 11,
        crowd_divisor: 1,
        idle: Duration::from_secs(3),
        tail_round: Duration::from_millis(400),
        tail_rounds: 5,
        events: 3,
    };

    /// For a look whether everything works: the numbers mean little.
    pub(crate) const QUICK: Self = Self {
        warm_up: Duration::from_millis(5),
        round: Duration::from_millis(5),
        rounds: 3,
        crowd_divisor: 20,
        idle: Duration::from_millis(200),
        tail_round: Duration::from_millis(20),
        tail_rounds: 2,
        events: 1,
    };
}

/// A server, and the way in which it is made to work.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) child: Child,
    pub(crate) lane: Box<dyn Lane>,
}

/// What one contestant may cost at most, as a multiple of what another does.
pub(crate) struct Target {
    pub(crate) who: &'static str,
    pub(crate) against: &'static str,
    pub(crate) limit: f64,
}

/// What one contestant's rounds amount to.
struct Result {
    name: &'static str,
    /// CPU microseconds of the server for each message, round by round.
    cpu: Vec<f64>,
    messages_per_second: Vec<f64>,
    /// Of exchanges, in microseconds, sorted.
    latencies: Vec<f64>,
}

/// Runs a setting and prints its table.
pub(crate) fn compete(
    setting: &str,
    mut contestants: Vec<Contestant>,
    targets: &[Target],
    effort: Effort,
) -> io::Result<()> {
    let mut results: Vec<Result> = Vec::new();
    let mut counts = Vec::new();
    for contestant in &mut contestants {
        counts.push(warm_up(contestant, effort)?);
        results.push(Result {
            name: contestant.name,
            cpu: Vec::new(),
            messages_per_second: Vec::new(),
            latencies: Vec::new(),
        });
    }
    for _ in 0..effort.rounds {
        for ((contestant, result), count) in contestants.iter_mut().zip(&mut results).zip(&counts) {
            run_round(contestant, *count, result)?;
        }
    }
    for result in &mut results {
        result.latencies.sort_by(f64::total_cmp);
    }
    print(setting, &results, targets);
    Ok(())
}

/// Says how many exchanges make a round.
fn warm_up(contestant: &mut Contestant, effort: Effort) -> io::Result<usize> {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < effort.warm_up || count == 0 {
        contestant.lane.exchange()?;
        count += 1;
    }
    let one = start.elapsed().as_secs_f64() / f64::from(count);
    Ok((effort.round.as_secs_f64() / one).ceil() as usize)
}

fn run_round(contestant: &mut Contestant, count: usize, result: &mut Result) -> io::Result<()> {
    let (cpu, start) = (contestant.child.cpu()?, Instant::now());
    let mut before = start;
    let mut messages = 0;
    for _ in 0..count {
        messages += contestant.lane.exchange()?;
        let now = Instant::now();
        result.latencies.push(micros(now - before));
        before = now;
    }
    let cpu = contestant.child.cpu()? - cpu;
    result.cpu.push(micros(cpu) / messages as f64);
    result.messages_per_second.push(messages as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn print(setting: &str, results: &[Result], targets: &[Target]) {
    println!("\n{setting}");
    println!(
        "  {:<12} {:>12} {:>10} {:>10} {:>10} {:>12} {:>8}",
        "", "messages/s", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs/msg", "ratio"
    );
    for result in results {
        let reference = results.first().map_or(1.0, |first| ratio(result, first));
        println!(
            "  {:<12} {:>12.0} {:>10.1} {:>10.1} {:>10.1} {:>12.3} {:>8.2}",
            result.name,
            median(&result.messages_per_second),
            percentile(&result.latencies, 0.5),
            percentile(&result.latencies, 0.99),
            percentile(&result.latencies, 0.999),
            median(&result.cpu),
            reference,
        );
    }
    for Target { who, against, limit } in targets {
        let find = |name: &str| results.iter().find(|result| result.name == name);
        if let (Some(one), Some(other)) = (find(who), find(against)) {
            println!("  {}", verdict(&format!("{who} / {against}"), ratio(one, other), *limit));
        }
    }
}

/// Whether a value keeps to its target, in words.
pub(crate) fn verdict(what: &str, value: f64, limit: f64) -> String {
    let word = if value <= limit { "PASS" } else { "MISS" };
    format!("{word}  {what}: {value:.2}, target ≤ {limit}")
}

/// The median of what rounds side by side say.
fn ratio(one: &Result, other: &Result) -> f64 {
    let ratios: Vec<_> = one.cpu.iter().zip(&other.cpu).map(|(one, other)| one / other).collect();
    median(&ratios)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.5)
}

pub(crate) fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}
