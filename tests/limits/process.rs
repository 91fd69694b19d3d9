//! The binary as a child, seen as the operating system sees it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A `sockjs-echo` that is ended when it is dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    pub fn start() -> Self {
        Self::spawn(&mut Command::new(env!("CARGO_BIN_EXE_sockjs-echo")))
    }

    /// One that may have only so many descriptors. What it says of that is kept for [`Process::end`].
    pub fn with_descriptors(count: usize) -> Self {
        let script = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_sockjs-echo")]);
        Self::spawn(shell.stderr(Stdio::piped()))
    }

    /// Ends it, and gives what it said on its standard error.
    pub fn end(mut self) -> String {
        self.child.kill().expect("kill");
        let mut text = String::new();
        let mut errors = self.child.stderr.take().expect("piped");
        errors.read_to_string(&mut text).expect("text");
        text
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("a line");
        let address = line
            .strip_prefix("Listening on ")
            .and_then(|rest| rest.split_once(". ")?.0.parse().ok())
            .unwrap_or_else(|| panic!("it says where it listens: {line:?}"));
        Self { child, address }
    }

    pub fn expect_alive(&mut self) {
        assert_eq!(self.child.try_wait().expect("a child"), None, "the server has ended");
    }

    /// Its memory in bytes: all that it has asked for, and all that it has touched (`proc_pid_statm(5)`).
    pub fn memory(&self) -> (u64, u64) {
        /// Smaller than no page there is: on machines with larger ones the tests are only stricter with themselves.
        const PAGE: u64 = 4096;
        let numbers = self.read("statm");
        let mut fields = numbers.split(' ').map(|field| field.parse::<u64>().expect("a number") * PAGE);
        let mut next = || fields.next().expect("a field");
        (next(), next())
    }

    /// Processor time that it has used, in ticks: fields 14 and 15 (`proc_pid_stat(5)`).
    pub fn ticks(&self) -> u64 {
        let line = self.read("stat");
        // The name in parentheses may hold anything.
        let (_, fields) = line.rsplit_once(") ").expect("a name");
        let times = fields.split(' ').skip(14 - 3).take(2);
        times.map(|time| time.parse::<u64>().expect("a number")).sum()
    }

    fn read(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).expect("the process is there").trim_end().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
