//! The binary as the operating system sees it.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::echo_process::EchoProcess;

/// A process that may have only so many descriptors. What it says of that is kept for [`end`].
pub fn with_descriptors(count: usize) -> EchoProcess {
    let script = format!("ulimit -n {count}; exec \"$0\" --listen 127.0.0.1:0");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_sockjs-echo")]);
    EchoProcess::spawn(shell.stderr(Stdio::piped()))
}

/// Ends the process, and returns what it said on its standard error.
pub fn end(mut echo: EchoProcess) -> String {
    echo.child.kill().expect("kill");
    let mut text = String::new();
    let mut errors = echo.child.stderr.take().expect("piped");
    errors.read_to_string(&mut text).expect("text");
    text
}

pub fn expect_alive(echo: &mut EchoProcess) {
    assert_eq!(echo.child.try_wait().expect("a child"), None, "the server has ended");
}

/// The memory in bytes: all that the process has asked for, and all that it has touched (`proc_pid_statm(5)`).
pub fn memory(echo: &EchoProcess) -> (u64, u64) {
    /// No machine has smaller pages: on those with larger ones the tests are only stricter with themselves.
    const PAGE: u64 = 4096;
    let numbers = read(echo, "statm");
    let mut fields = numbers.split(' ').map(|field| field.parse::<u64>().expect("a number") * PAGE);
    let mut next = || fields.next().expect("a field");
    (next(), next())
}

/// Processor time that the process has used, in ticks: fields 14 and 15 (`proc_pid_stat(5)`).
pub fn ticks(echo: &EchoProcess) -> u64 {
    let line = read(echo, "stat");
    // The name in parentheses may hold anything.
    let (_, fields) = line.rsplit_once(") ").expect("a name");
    let times = fields.split(' ').skip(14 - 3).take(2);
    times.map(|time| time.parse::<u64>().expect("a number")).sum()
}

fn read(echo: &EchoProcess, file: &str) -> String {
    let path = format!("/proc/{}/{file}", echo.child.id());
    std::fs::read_to_string(path).expect("the process is there").trim_end().to_owned()
}
