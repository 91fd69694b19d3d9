//! This test binary, run again as a server or as clients. A process of its own can be stopped, and can live in another
//! network namespace.
//!
//! A child tells its parent of events, a line each; the time of an event is the time at which the parent reads the
//! line. A child ends when its parent does, for its standard input ends then.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::{clients, stopped, vanishing};

/// The environment variable that tells a child what it is to be.
const ROLE: &str = "VANISHED_ROLE";

/// The text before an event. The test harness prints lines too, and an event may stand behind a line that the harness
/// has begun and not ended.
const MARK: &str = "@event ";

/// A child calls this function to tell its parent of an event.
pub fn tell(event: &str) {
    println!("{MARK}{event}");
}

/// In a child, this test is all that the child does; in a test run, this test does nothing.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // A thread that panics ends the child, so that the parent does not wait for its events.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("in a child of the test: {panic}");
        std::process::exit(1);
    }));
    std::thread::spawn(|| {
        let ended = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(i32::from(ended.is_err()));
    });
    let words: Vec<&str> = role.split(' ').collect();
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    match words[..] {
        ["vanishing-server", at] => vanishing::serve(address(at)),
        ["stopped-server", at] => stopped::serve(address(at)),
        ["clients", at, endpoint] => clients::live(address(at), endpoint),
        _ => panic!("no such role: {role}"),
    }
}

/// A child process; its end is the end of this value.
pub struct Process {
    child: Child,
    events: Receiver<(Instant, String)>,
}

impl Process {
    /// Starts a child in this role, in the network namespace of this name or in the namespace of the test.
    pub fn start(namespace: Option<&str>, role: &str) -> Self {
        let binary = std::env::current_exe().expect("the path of the test binary");
        let mut command = match namespace {
            None => Command::new(binary),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(binary);
                command
            }
        };
        command.args(["child::role", "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child");
        let output = child.stdout.take().expect("a pipe");
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let line = line.expect("events are text");
                if let Some((_, event)) = line.split_once(MARK) {
                    // The send fails when the test has ended. This thread reads on, so that no full
                    // pipe blocks the child.
                    let _ = sender.send((Instant::now(), event.to_owned()));
                }
            }
        });
        Self { child, events }
    }

    /// Starts a server at this address, and returns the address with the port that the server has chosen.
    pub fn serve(namespace: Option<&str>, role: &str, address: &str) -> (Self, SocketAddr) {
        let server = Self::start(namespace, &format!("{role} {address}"));
        let event = server.next();
        let at = event.strip_prefix("listening ").unwrap_or_else(|| panic!("the address, not {event:?}"));
        let at = at.parse().expect("an address");
        (server, at)
    }

    /// The next event.
    pub fn next(&self) -> String {
        self.next_until(Instant::now() + PATIENCE).expect("an event").1
    }

    /// The next event and its time; `None` if no event came before the deadline.
    pub fn next_until(&self, deadline: Instant) -> Option<(Instant, String)> {
        match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the child has ended"),
        }
    }

    /// Stops the process, and returns when no thread of the process runs any more.
    pub fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let start = Instant::now();
        let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat")));
            // The state stands behind the name, and the name in its parentheses may hold anything (proc_pid_stat(5)).
            stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
        };
        while !std::fs::read_dir(&tasks).expect("the tasks of the child").all(is_stopped) {
            assert!(start.elapsed() < PATIENCE, "the child does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets a stopped process continue.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &process]).status();
        assert!(status.expect("the program kill").success(), "kill -{name} {process}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too. The process may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
