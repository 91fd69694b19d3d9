//! `sockjs-echo` as a service manager sees it: arguments, exit codes, signals, and sockets from elsewhere.

#![cfg(all(unix, feature = "signals"))]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod log;
mod options;
mod printing;
mod sockets;

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use support::PATIENCE;
use support::client::Client;
use support::echo_process::{EchoProcess, command};
use support::frames::handshake;
use support::target::eventually;
use support::websocket::WebSocket;

/// Runs it to its end, which comes soon, and says its exit code and what it printed.
fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    finish(command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// The same for a command whose outputs may be elsewhere.
fn finish(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child = command.spawn().expect("it starts");
    let (out, error) = (child.stdout.take(), child.stderr.take());
    let texts = [collect(out), collect(error)];
    let start = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().expect("kill");
            child.wait().expect("it can be waited for");
            panic!("{command:?} does not end");
        }
        std::thread::yield_now();
    }
    let [out, error] = texts.map(|text| text.join().expect("text"));
    (child.wait().expect("it has ended").code(), out, error)
}

/// Reads a pipe to its end, in a thread of its own.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_string(&mut text).expect("text");
        }
        text
    })
}

#[test]
fn it_explains_itself_and_says_what_it_does_not_know() {
    let (code, out, _) = output(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("--listen ADDRESS"), "{out}");
    let (code, out, _) = output(&["--version"]);
    assert_eq!((code, out.trim()), (Some(0), concat!("sockjs-echo ", env!("CARGO_PKG_VERSION"))));
    let (code, _, error) = output(&["--port", "80"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--port"), "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let (code, _, error) = output(&["--listen", &address]);
    assert_eq!(code, Some(1));
    assert!(error.contains(&address), "{error}");
}

/// A limit is refused with its own name and range, like every argument that cannot work.
#[test]
fn a_limit_that_cannot_work_is_a_wrong_argument() {
    for limit in ["0", "268435457", "+5", "-1", "1e3", "99999999999999999999"] {
        let (code, _, error) = output(&["--listen", "127.0.0.1:0", "--message-limit", limit]);
        assert_eq!(code, Some(2), "{limit}: {error}");
        assert!(error.contains("--message-limit") && error.contains("between 1 and 268435456"), "{error}");
    }
    for limit in ["1", "268435456"] {
        let mut echo =
            EchoProcess::spawn(&mut command(&["--listen", "127.0.0.1:0", "--message-limit", limit]));
        echo.terminate();
        assert_eq!(echo.code(), Some(0), "{limit}");
    }
}

/// The signals are heeded before the program says that it listens: a manager may stop it as soon as it has read that.
#[test]
fn sigterm_right_after_the_start_is_a_stop() {
    for run in 0..100 {
        let mut echo = EchoProcess::start();
        echo.terminate();
        assert_eq!(echo.code(), Some(0), "run {run}");
    }
}

/// The first signal lets sessions leave, the last of which is the end; the second one does not wait for them.
#[test]
fn with_an_option_it_drains_first() {
    let start = || EchoProcess::spawn(&mut command(&["--listen", "127.0.0.1:0", "--drain", "3600"]));
    for leaves in [true, false] {
        let mut echo = start();
        let mut socket = WebSocket::raw(echo.address(), "/echo");
        assert_eq!(socket.send("before").text(), "before");
        echo.terminate();
        eventually("new sessions are refused", || {
            let mut other = Client::connect(echo.address());
            other.send(handshake("/echo/websocket", "")).head().status == 503
        });
        assert_eq!(socket.send("meanwhile").text(), "meanwhile");
        if leaves {
            socket.leave();
        } else {
            echo.terminate();
            socket.expect_close(1001, "Server shutdown");
        }
        assert_eq!(echo.code(), Some(0), "{leaves}");
    }
    // Its patience has an end.
    let mut echo = EchoProcess::spawn(&mut command(&["--listen", "127.0.0.1:0", "--drain", "1"]));
    let socket = WebSocket::raw(echo.address(), "/echo");
    echo.terminate();
    socket.expect_close(1001, "Server shutdown");
    assert_eq!(echo.code(), Some(0));
    // Without sessions it ends at once.
    let mut echo = start();
    echo.terminate();
    assert_eq!(echo.code(), Some(0));
}

/// One listening socket outlives the processes that serve it: nobody is refused while one follows the other.
#[test]
fn a_new_process_takes_over_the_socket_of_the_old_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let start = || {
        let socket = OwnedFd::from(listener.try_clone().expect("a copy"));
        EchoProcess::spawn(command(&["--listen", "inherited"]).stdin(socket))
    };
    let mut old = start();
    assert_eq!(old.address(), address);
    let ask = || Client::connect(address).ask("GET", "/echo", "Connection: close\r\n", b"").status;
    for generation in 0..3 {
        assert_eq!(ask(), 200, "generation {generation}");
        let new = start();
        old.terminate();
        for _ in 0..20 {
            assert_eq!(ask(), 200, "generation {generation}");
        }
        assert_eq!(old.code(), Some(0));
        assert_eq!(ask(), 200, "generation {generation}");
        old = new;
    }
    let (code, _, error) = output(&["--listen", "inherited"]);
    assert_eq!(code, Some(1), "a standard input that is no socket: {error}");
}

#[test]
fn a_listener_that_another_process_has_shut_down_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let shared = TcpStream::from(OwnedFd::from(listener.try_clone().expect("a copy")));
    let mut command = command(&["--listen", "inherited"]);
    let mut echo = EchoProcess::spawn(command.stdin(OwnedFd::from(listener)).stderr(Stdio::piped()));
    let error = collect(echo.child.stderr.take());
    assert_eq!(Client::connect(address).ask("GET", "/echo", "", b"").status, 200);
    shared.shutdown(Shutdown::Both).expect("shutdown");
    echo.terminate();
    assert_eq!(echo.code(), Some(0));
    let error = error.join().expect("text");
    assert!(error.starts_with(&format!("{address} does not listen any more: ")), "{error}");
}
