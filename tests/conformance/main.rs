//! The SockJS wire protocol as a list of rules, each with a check over plain sockets.
//!
//! The rules are those of src/protocol.md, one module a section; the lists at their beginnings are meant to be read. By
//! default a server is started in this process. With `SOCKJS_URL=http://host:port` the rules are held against any
//! SockJS server that serves the test endpoints (section 11: `/echo` with a response limit of 4096 bytes,
//! `/disabled_websocket_echo`, `/cookie_needed_echo`, `/close`, `/ticker`, `/amplify`, `/broadcast`); rules that need a
//! server with other options are skipped then.
//!
//! ```text
//! cargo test --test conformance                                  all rules
//! cargo test --test conformance -- 'jsonp'                       those whose text holds this
//! cargo test --test conformance -- --list                        what they are
//! SOCKJS_URL=http://localhost:8081 cargo test --test conformance another server
//! ```

mod rule;
mod runner;
#[path = "../support/mod.rs"]
mod support;

mod section_01_urls;
mod section_02_headers;
mod section_03_info;
mod section_04_iframe;
mod section_05_frames;
mod section_06_messages;
mod section_07_application;
mod section_07_sessions;
mod section_08_transports;
mod section_09_websocket;
mod section_10_http;
mod section_11_endpoints;
mod section_12_everywhere;

use std::process::ExitCode;

use rule::Rule;
use runner::Plan;
use support::TestServer;
use support::target::Target;

/// The contract, section by section.
const SECTIONS: [(&str, &[Rule]); 12] = [
    ("1. URLs", section_01_urls::RULES),
    ("2. Headers", section_02_headers::RULES),
    ("3. /info", section_03_info::RULES),
    ("4. The iframe page", section_04_iframe::RULES),
    ("5. Frames to the client", section_05_frames::RULES),
    ("6. Messages from the client", section_06_messages::RULES),
    ("7. Sessions", section_07_sessions::RULES),
    ("8. Transports", section_08_transports::RULES),
    ("9. WebSocket handshake and framing", section_09_websocket::RULES),
    ("10. HTTP/1.1", section_10_http::RULES),
    ("11. The test server", section_11_endpoints::RULES),
    ("12. Rules under everything", section_12_everywhere::RULES),
];

/// The heading above a rule.
fn title(rule: &Rule) -> &'static str {
    let number = rule.section.split('.').next().unwrap_or_default();
    let is_above = |title: &str| title.split('.').next() == Some(number);
    SECTIONS.iter().map(|(title, _)| *title).find(|title| is_above(title)).unwrap_or_default()
}

/// What the command line asks for. Options of the usual test harness are taken and ignored.
struct Arguments {
    list: bool,
    filters: Vec<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self { list: false, filters: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => arguments.list = true,
                // These have a value, which is no filter.
                "--test-threads" | "--format" | "--color" | "--skip" | "--logfile" | "--shuffle-seed"
                | "-Z" => {
                    words.next();
                }
                _ if word.starts_with('-') => {}
                _ => arguments.filters.push(word.to_lowercase()),
            }
        }
        arguments
    }

    fn wants(&self, rule: &Rule) -> bool {
        let text = format!("{} {}", rule.section, rule.says).to_lowercase();
        self.filters.is_empty() || self.filters.iter().any(|filter| text.contains(filter))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let all = || SECTIONS.iter().flat_map(|(_, rules)| rules.iter().copied());
    let wanted: Vec<Rule> = all().filter(|rule| arguments.wants(rule)).collect();
    if arguments.list {
        for rule in &wanted {
            println!("{} {}: test", rule.section, rule.says);
        }
        return ExitCode::SUCCESS;
    }
    let named = std::env::var("SOCKJS_URL").ok();
    let plan = Plan { rules: &wanted, filtered: all().count() - wanted.len(), is_ours: named.is_none() };
    let passed = match named.as_deref().map(Target::named) {
        Some(Ok(target)) => {
            println!("\nrunning {} rules against {}", wanted.len(), target.host);
            runner::run(&plan, &target)
        }
        Some(Err(error)) => {
            eprintln!("SOCKJS_URL: {error}");
            false
        }
        None => {
            let server = TestServer::echo();
            println!("\nrunning {} rules against a server in this process", wanted.len());
            runner::run(&plan, &Target::at(server.address))
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
