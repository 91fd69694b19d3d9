//! The lines of `--verbose` and `--log json`.

use std::process::Stdio;

use serde_json::Value;

use crate::collect;
use crate::support::client::Client;
use crate::support::echo_process::{EchoProcess, command};

/// What is logged of a session by xhr-polling that closes, and of a request that is refused.
fn log(arguments: &[&str]) -> (Vec<String>, String) {
    let mut command = command(&[&["--listen", "127.0.0.1:0"][..], arguments].concat());
    let mut echo = EchoProcess::spawn(command.stderr(Stdio::piped()));
    let lines = collect(echo.child.stderr.take());
    let mut client = Client::connect(echo.address());
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(client.ask("POST", "/close/0/s/xhr", forwarded, b"").text(), "o\n");
    let refused = Client::connect(echo.address()).ask("GET", "/ ", "", b"").status;
    assert_eq!(refused, 400);
    echo.terminate();
    assert_eq!(echo.code(), Some(0));
    let peer = client.stream.local_addr().expect("address").to_string();
    (lines.join().expect("text").lines().map(str::to_owned).collect(), peer)
}

/// Whether it has the form `2026-11-28T08:44:48.123Z`.
fn is_time(text: &str) -> bool {
    let form: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    form == "0000-00-00T00:00:00.000Z"
}

#[test]
fn lines_have_time_endpoint_and_address() {
    let (lines, peer) = log(&["--verbose"]);
    let words: Vec<&str> = lines
        .iter()
        .map(|line| {
            let (time, words) = line.split_once(' ').expect("words");
            assert!(is_time(time), "{line}");
            words
        })
        .collect();
    assert_eq!(words[0], format!("opened session 0.1 /close {peer} xhr-polling"));
    assert_eq!(words[1], format!("closed session 0.1 /close {peer} code 3000 \"Go away!\" Application"));
    assert!(words[2].starts_with("refused 127.0.0.1:") && words[2].ends_with(" status 400"), "{lines:?}");
    assert_eq!(words[3], "stopped sessions_cut 0 connections_cut 0");
    assert_eq!(words.len(), 4, "{lines:?}");
}

#[test]
fn a_program_reads_the_same_as_json() {
    let (lines, peer) = log(&["--log", "json", "--trust-proxy", "127.0.0.0/8"]);
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        assert!(line["time"].as_str().is_some_and(is_time), "{line}");
    }
    let client = format!("192.0.2.7 via {peer}");
    for (line, field, value) in [
        (0, "event", "opened".into()),
        (0, "session", "0.1".into()),
        (0, "endpoint", "/close".into()),
        (0, "address", Value::from(&*client)),
        (0, "transport", "xhr-polling".into()),
        (1, "event", "closed".into()),
        (1, "session", "0.1".into()),
        (1, "endpoint", "/close".into()),
        (1, "address", Value::from(&*client)),
        (1, "code", 3000.into()),
        (1, "reason", "Go away!".into()),
        (1, "cause", "Application".into()),
        (2, "event", "refused".into()),
        (2, "status", 400.into()),
        (3, "event", "stopped".into()),
        (3, "sessions_cut", 0.into()),
    ] {
        assert_eq!(lines[line][field], value, "{lines:?}");
    }
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn without_a_flag_there_is_no_log() {
    assert_eq!(log(&[]).0, Vec::<String>::new());
}
