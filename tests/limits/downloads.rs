//! Many clients that download slowly: the server holds one piece of the file for each of them,
//! and a neighbour notices nothing.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType};

use crate::crowds::crowd;
use crate::process;
use crate::support::client::Client;
use crate::support::echo_process::EchoProcess;
use crate::support::websocket::WebSocket;

/// Bytes of the file.
const LENGTH: usize = 5 << 20;

/// Bytes that each client reads at once, ten times a second.
const READ: usize = 5_000;

/// How often a client reads.
const PAUSE: Duration = Duration::from_millis(100);

/// A client in the middle of its download.
struct Slow {
    stream: TcpStream,
    place: usize,
}

impl Slow {
    /// Asks for the file.
    fn ask(address: SocketAddr) -> Self {
        let mut client = Client::on(connect(address));
        client.request("GET", "/file.bin", "", b"");
        let mut head = Vec::new();
        // Byte by byte, so that none of the body is taken out.
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
        Self { stream: client.stream, place: 0 }
    }

    /// Reads on, and compares. `false`: that was the last byte.
    fn read(&mut self, file: &[u8]) -> bool {
        let mut room = [0; READ];
        let count = READ.min(file.len() - self.place);
        self.stream.read_exact(&mut room[..count]).expect("the body goes on");
        assert!(room[..count] == file[self.place..self.place + count], "at {}", self.place);
        self.place += count;
        self.place < file.len()
    }
}

/// Connects as from afar, with packets of an Ethernet and a small buffer: on a loopback with packets of 64 KiB the
/// operating system would take most of the file for each client, and run out of memory for all of them.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    set_socket_recv_buffer_size(&socket, 32 << 10).expect("an option of sockets");
    let size: libc::c_int = 1400;
    let length = size_of_val(&size) as libc::socklen_t;
    // SAFETY: the socket is open, and the value is there for the whole call, of the size that is said.
    let set = unsafe {
        let value = (&raw const size).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_MAXSEG, value, length)
    };
    assert_eq!(set, 0, "an option of sockets");
    rustix::net::connect(&socket, &address).expect("connect");
    TcpStream::from(socket)
}

/// What the operating system, and a neighbour, saw of a server.
#[derive(Debug)]
struct Seen {
    /// The most memory that it had touched, in bytes.
    most: u64,
    /// The median and the 99th percentile of a neighbour's echoes.
    echoes: [Duration; 2],
}

/// The echoes of a neighbour, one in a few milliseconds, until the time is over.
fn watch(server: &EchoProcess, socket: &mut WebSocket, until: impl Fn() -> bool) -> Seen {
    let (mut most, mut times) = (0, Vec::new());
    while !until() {
        let start = Instant::now();
        assert_eq!(socket.send("still here").text(), "still here");
        times.push(start.elapsed());
        most = most.max(process::memory(server).1);
        std::thread::sleep(Duration::from_millis(3));
    }
    times.sort_unstable();
    Seen { most, echoes: [times[times.len() / 2], times[times.len() * 99 / 100]] }
}

/// So many clients read at 50 KB/s, for so long or to the end.
fn download(clients: usize, time: Duration) -> Seen {
    let folder = std::env::temp_dir().join(format!("sockjs-server-downloads-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file: Vec<u8> = (0..LENGTH).map(|place| (place % 251) as u8).collect();
    std::fs::write(folder.join("file.bin"), &file).expect("a file");
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps/limits");
    let mut command = Command::new(target.join("examples/files"));
    command.arg("127.0.0.1:0").arg(&folder).stdin(Stdio::null());
    let server = EchoProcess::spawn(&mut command);
    let address = server.place.strip_prefix("http://").and_then(|place| place.strip_suffix('/'));
    let address: SocketAddr = address.and_then(|place| place.parse().ok()).expect("an address");
    let mut socket = WebSocket::raw(address, "/echo");
    let seen = std::thread::scope(|scope| {
        let file = &file;
        let reader = scope.spawn(move || {
            let mut slow: Vec<_> = (0..clients).map(|_| Slow::ask(address)).collect();
            let start = Instant::now();
            for round in 1.. {
                slow.retain_mut(|client| client.read(file));
                if slow.is_empty() || start.elapsed() >= time {
                    break;
                }
                std::thread::sleep((start + PAUSE * round).saturating_duration_since(Instant::now()));
            }
        });
        watch(&server, &mut socket, || reader.is_finished())
    });
    std::fs::remove_dir_all(folder).expect("it is ours");
    seen
}

/// The memory is the same whatever the file is: a piece for each client, and not 5 GB.
#[test]
fn a_thousand_slow_downloads_cost_a_piece_each() {
    let seen = download(crowd(1000), Duration::from_secs(4));
    assert!(seen.most < 64 << 20, "{seen:?}");
    // Far from what it is, since other tests run beside this one.
    assert!(seen.echoes[1] < Duration::from_millis(500), "{seen:?}");
}

/// To the end, which takes 105 s, and alone: `cargo test --release --test limits to_the_end -- --ignored --nocapture`.
#[test]
#[ignore = "it takes two minutes, and measures"]
fn a_thousand_slow_downloads_to_the_end() {
    let seen = download(1000, Duration::MAX);
    println!("1,000 downloads of 5 MB at 50 KB/s: {seen:?}");
    assert!(seen.most < 64 << 20, "{seen:?}");
    assert!(seen.echoes[1] <= Duration::from_millis(5), "{seen:?}");
}
