//! The server under load, beside the floor: the same client, the same bytes, and nothing but mio behind the socket.
//!
//! Server and floor run in processes of their own and take turns. For each setting it prints messages per second,
//! latencies of an exchange, and what counts: the server's CPU time for each message, and its ratio to the floor's. In
//! the settings named `tail` it is how long a quiet client waits for its echoes beside a flood from others; and, since
//! one other program spoils that, for which part of the time the server was held up by others on its core. A wrong echo
//! fails the run; a target that is missed does not, for machines differ. Linux only.
//!
//! ```text
//! cargo bench --bench load                    everything: under four minutes
//! cargo bench --bench load -- idle greeting   settings whose names hold one of these
//! cargo bench --bench load -- --quick         a few seconds: does all of it work?
//! cargo bench --bench load -- --one-core      client and servers share a core
//! cargo bench --bench load -- --list          the names
//! cargo bench --bench load -- --peers=PATH peers
//! ```
//!
//! The last of these has other WebSocket libraries beside ours, in a program that is built apart, with
//! `cargo build --release` in `benches/peers`; PATH is `benches/peers/target/release/peers`.
//!
//! On cores of their own, much of a lone message's cost is that of waking another core, which is the system's, and
//! large on virtual machines. On one core it is a switch between processes, so that ratios are stricter.

mod child;
mod crowds;
mod echo;
mod floods;
mod floor;
mod handles;
mod idle;
mod lanes;
mod measure;
mod producers;
mod quiet;
mod secure;
mod server;
mod settings;
mod tails;

#[path = "../support/client.rs"]
mod client;
#[path = "../support/counting.rs"]
mod counting;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use measure::Effort;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Descriptors that the largest setting takes.
const DESCRIPTORS: usize = 12_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, role)) if first == child::ROLE => child::serve(role),
        _ => run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> io::Result<()> {
    // `cargo bench` adds `--bench`.
    let (options, filters): (Vec<_>, Vec<_>) = arguments.iter().partition(|it| it.starts_with("--"));
    let peers = options.iter().find_map(|option| option.strip_prefix("--peers=")).map(Path::new);
    let known = ["--bench", "--quick", "--one-core", "--list"];
    if let Some(unknown) =
        options.iter().find(|it| !known.contains(&it.as_str()) && !it.starts_with("--peers="))
    {
        return Err(io::Error::other(format!(
            "unknown option {unknown}: there are --quick, --one-core, --list and --peers=PATH"
        )));
    }
    let has = |option: &str| options.iter().any(|it| *it == option);
    let effort = if has("--quick") { Effort::QUICK } else { Effort::FULL };
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let limit = child::raise_descriptor_limit()?;
    if limit < DESCRIPTORS {
        eprintln!("only {limit} descriptors are allowed: settings with 10,000 sessions may fail");
    }
    child::take_core(has("--one-core"))?;
    for setting in settings::all(peers).iter().filter(|setting| wanted(&setting.name)) {
        if has("--list") {
            println!("{}", setting.name);
        } else {
            (setting.run)(&setting.name, effort)?;
        }
    }
    Ok(())
}
