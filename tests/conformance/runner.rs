//! Runs rules on a few threads and prints what came of them, in the order of the contract.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::rule::{Check, Rule};
use crate::support::target::Target;

/// Most rules wait rather than work, some of them for seconds.
const THREADS: usize = 16;

/// The name of the threads that check.
const CHECKER: &str = "checker";

/// What became of a rule.
enum Outcome {
    Passed,
    /// With what was found instead.
    Failed(String),
    /// It needs a server of this process.
    Skipped,
}

thread_local! {
    /// What the last panic on this thread said, and where.
    static COMPLAINT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What is to be checked, and how.
pub struct Plan<'r> {
    pub rules: &'r [Rule],
    /// How many rules are left out.
    pub filtered: usize,
    /// The target is a server of this process, so rules may start others like it.
    pub is_ours: bool,
}

/// Checks all rules; `true` if none is broken.
pub fn run(plan: &Plan<'_>, target: &Target) -> bool {
    let rules = plan.rules;
    keep_complaints();
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Outcome>>> = rules.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(rules.len()) {
            let work = || {
                while let Some(index) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < rules.len())
                {
                    let outcome = check(&rules[index], target, plan.is_ours);
                    *outcomes[index].lock().expect("nobody panics here") = Some(outcome);
                }
            };
            Builder::new().name(CHECKER.to_owned()).spawn_scoped(scope, work).expect("a thread");
        }
    });
    let outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .map(|outcome| outcome.into_inner().expect("nobody panics here").expect("every rule was checked"))
        .collect();
    print(rules, &outcomes, plan.filtered, start.elapsed())
}

fn check(rule: &Rule, target: &Target, is_ours: bool) -> Outcome {
    let result = match rule.check {
        Check::Anywhere(check) => panic::catch_unwind(AssertUnwindSafe(|| check(target))),
        Check::InProcess(check) if is_ours => panic::catch_unwind(check),
        Check::InProcess(_) => return Outcome::Skipped,
    };
    match result {
        Ok(()) => Outcome::Passed,
        Err(_) => Outcome::Failed(COMPLAINT.take()),
    }
}

/// Panics of checks are findings: they are kept for the table instead of being printed where they happen. Panics of
/// other threads, such as a server's, are printed as ever.
fn keep_complaints() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some(CHECKER) {
            return usual(info);
        }
        let payload = info.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no reason was given");
        let place =
            info.location().map_or(String::new(), |place| format!("{}:{}", place.file(), place.line()));
        COMPLAINT.set(format!("{message}\n(found at {place})"));
    }));
}

/// The table, and the two lines that sum it up.
fn print(rules: &[Rule], outcomes: &[Outcome], filtered: usize, time: Duration) -> bool {
    let mut chapter = None;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (rule, outcome) in rules.iter().zip(outcomes) {
        let title = crate::title(rule);
        if chapter.replace(title) != Some(title) {
            println!("\n{title}");
        }
        let mark = match outcome {
            Outcome::Passed => "ok  ",
            Outcome::Failed(_) => "FAIL",
            Outcome::Skipped => "skip",
        };
        println!("{mark} {:<5} {}", rule.section, rule.says);
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Skipped => skipped += 1,
            Outcome::Failed(complaint) => {
                failed += 1;
                for line in complaint.lines() {
                    println!("           | {line}");
                }
            }
        }
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    println!(
        "\ntest result: {}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; {filtered} filtered out; \
         finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        time.as_secs_f64(),
    );
    failed == 0
}
