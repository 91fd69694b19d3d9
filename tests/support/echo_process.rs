//! `sockjs-echo` as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The program, and the arguments that it is given.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockjs-echo"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running `sockjs-echo`, killed with the test if it does not stop before.
pub struct EchoProcess {
    pub child: Child,
    /// Where it said that it listens.
    pub place: String,
}

impl EchoProcess {
    /// A server on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::spawn(&mut command(&["--listen", "127.0.0.1:0"]))
    }

    /// Runs a command until it says where it listens. Its standard output is a pipe.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let place = line.strip_prefix("Listening on ").unwrap_or_else(|| panic!("{line:?}")).trim();
        Self { place: place.to_owned(), child }
    }

    pub fn address(&self) -> SocketAddr {
        let (address, _) = self.place.split_once(". ").expect("an address, and what to do with it");
        address.parse().expect("an address")
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(kill.success());
    }

    /// Waits for its end, and returns its exit code.
    pub fn code(&mut self) -> Option<i32> {
        self.child.wait().expect("it can be waited for").code()
    }
}

impl Drop for EchoProcess {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
