//! What it cannot print is never a panic, whose exit code would be 101.

use std::fs::File;
use std::io::pipe;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::finish;
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::echo_process::{EchoProcess, command};

fn echo(arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.stderr(Stdio::piped());
    command
}

/// A pipe that nothing reads any more.
fn broken_pipe() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// A disk that is full.
fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a file that is always full").into()
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    for argument in ["--help", "--version"] {
        let (code, _, error) = finish(echo(&[argument]).stdout(broken_pipe()));
        assert_eq!((code, error.as_str()), (Some(0), ""), "{argument}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_is_told() {
    for arguments in [&["--help"][..], &["--version"], &["--listen", "127.0.0.1:0"]] {
        let (code, _, error) = finish(echo(arguments).stdout(full_disk()));
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        assert!(error.starts_with("sockjs-echo: the standard output: "), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_exit_code_is_the_same_where_errors_cannot_be_told() {
    for silent in [broken_pipe, full_disk] {
        let code = |arguments: &[&str]| finish(echo(arguments).stdout(full_disk()).stderr(silent())).0;
        assert_eq!(code(&["--help"]), Some(1));
        assert_eq!(code(&["--port", "80"]), Some(2));
        let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = taken.local_addr().expect("address").to_string();
        assert_eq!(code(&["--listen", &address]), Some(1));
    }
}

/// The one that started it reads no further, or not at all: it serves all the same.
#[test]
fn a_server_goes_on_without_its_outputs() {
    let path = std::env::temp_dir().join(format!("sockjs-silent-{}.sock", std::process::id()));
    let place = format!("unix:{}", path.display());
    let mut command = echo(&["--listen", &place, "--listen", "127.0.0.1:0", "--verbose"]);
    let child = command.stdout(broken_pipe()).stderr(broken_pipe()).spawn().expect("it starts");
    let mut echo = EchoProcess { child, place };
    let start = Instant::now();
    while UnixStream::connect(&path).is_err() {
        assert!(start.elapsed() < PATIENCE, "it does not listen");
        std::thread::yield_now();
    }
    std::fs::remove_file(&path).expect("the socket's file");
    echo.terminate();
    assert_eq!(echo.code(), Some(0));
}

#[test]
fn a_log_without_a_reader_stops_nothing() {
    let mut command = echo(&["--listen", "127.0.0.1:0", "--verbose"]);
    let mut echo = EchoProcess::spawn(command.stderr(broken_pipe()));
    let mut client = Client::connect(echo.address());
    for session in ["a", "b", "c"] {
        let poll = format!("/close/0/{session}/xhr");
        assert_eq!(client.ask("POST", &poll, "", b"").text(), "o\n");
        assert_eq!(client.ask("POST", &poll, "", b"").text(), "c[3000,\"Go away!\"]\n");
        assert_eq!(client.ask("POST", "/echo/0/s/xhr_send", "", b"[]").status, 404);
    }
    echo.terminate();
    assert_eq!(echo.code(), Some(0));
}
