//! `--listen unix:PATH` removes a socket whose server is gone, and nothing else.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::output;
use crate::support::echo_process::{EchoProcess, command};

/// A folder of the test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockjs-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Leaves a socket at this path on which nothing listens.
fn leave_dead_socket(path: &Path) {
    drop(UnixListener::bind(path).expect("bind"));
    assert_eq!(UnixStream::connect(path).expect_err("it is dead").kind(), ErrorKind::ConnectionRefused);
}

/// Everything that would show that the file was touched.
fn state(path: &Path) -> (u64, u64, u32, i64, i64, Option<PathBuf>) {
    let file = fs::symlink_metadata(path).expect("it is still there");
    (file.dev(), file.ino(), file.mode(), file.ctime(), file.ctime_nsec(), fs::read_link(path).ok())
}

/// Expects that the path is taken: an error that names it, and the file as it was.
fn expect_refusal(path: &Path) {
    let before = state(path);
    let (code, _, error) = output(&["--listen", &format!("unix:{}", path.display())]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
    assert_eq!(state(path), before, "{error}");
}

fn expect_service(echo: &EchoProcess, path: &Path) {
    assert_eq!(echo.place, path.display().to_string());
    let mut client = UnixStream::connect(path).expect("connect");
    client.write_all(b"GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").expect("send");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("read");
    assert!(answer.ends_with("Welcome to SockJS!\n"), "{answer}");
}

#[test]
fn a_unix_socket_serves_and_one_left_behind_is_replaced() {
    let folder = Folder::new("left-behind");
    let path = folder.at("socket");
    let place = format!("unix:{}", path.display());
    for _ in 0..2 {
        let mut echo = EchoProcess::spawn(&mut command(&["--listen", &place]));
        expect_service(&echo, &path);
        // The second time round the file is still there: killed, not stopped.
        echo.child.kill().expect("kill");
        echo.code();
    }
}

#[test]
fn what_is_no_socket_is_not_touched() {
    let folder = Folder::new("no-socket");
    let file = folder.at("file");
    fs::write(&file, "precious").expect("write");
    expect_refusal(&file);
    assert_eq!(fs::read(&file).expect("read"), b"precious");
    let directory = folder.at("directory");
    fs::create_dir(&directory).expect("a folder");
    expect_refusal(&directory);
    let fifo = folder.at("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    expect_refusal(&fifo);
}

/// A link to a dead socket is refused too: neither the link nor what it leads to was made by this program.
#[test]
fn a_symbolic_link_is_not_followed() {
    let folder = Folder::new("link");
    let dead = folder.at("dead");
    leave_dead_socket(&dead);
    fs::write(folder.at("file"), "precious").expect("write");
    for target in ["dead", "file", "nothing"] {
        let link = folder.at(&format!("link-to-{target}"));
        symlink(folder.at(target), &link).expect("a link");
        expect_refusal(&link);
    }
    assert!(fs::symlink_metadata(&dead).expect("it is still there").file_type().is_socket());
    assert!(!folder.at("nothing").exists());
}

#[test]
fn a_socket_that_is_alive_is_not_touched() {
    let folder = Folder::new("alive");
    let path = folder.at("socket");
    let echo = EchoProcess::spawn(&mut command(&["--listen", &format!("unix:{}", path.display())]));
    expect_refusal(&path);
    // Nor is one to which connecting is not permitted (which root is always, so that this is the same again there).
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
    expect_refusal(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
    expect_service(&echo, &path);
    // Nor one of another type, which refuses every connection.
    let path = folder.at("datagrams");
    let _alive = UnixDatagram::bind(&path).expect("bind");
    expect_refusal(&path);
}

/// A server that is stopped, or works for long, is alive; and asking it must not wait until it accepts.
#[test]
fn a_full_backlog_is_alive() {
    let folder = Folder::new("backlog");
    let path = folder.at("socket");
    // Its backlog is shorter than the standard library's.
    let _alive = mio::net::UnixListener::bind(&path).expect("bind");
    let mut waiting = Vec::new();
    let full = loop {
        match mio::net::UnixStream::connect(&path) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    expect_refusal(&path);
}
