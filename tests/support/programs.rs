//! Other programs, run to their end.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Runs a command to its end, or ends it when its time is over. Says what it printed.
pub fn run(command: &mut Command, time: Duration) -> String {
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut output = child.stdout.take().expect("a pipe");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let outcome = output.read_to_string(&mut text).map(|_| text);
        // Nobody listens any more if it came too late.
        let _ = sender.send(outcome);
    });
    // The output ends when the command does.
    let Ok(text) = receiver.recv_timeout(time) else {
        child.kill().expect("kill");
        child.wait().expect("wait");
        panic!("{command:?} took longer than {time:?}");
    };
    let status = child.wait().expect("wait");
    let text = text.expect("UTF-8");
    assert!(status.success(), "{command:?}: {status}\n{text}");
    text
}
