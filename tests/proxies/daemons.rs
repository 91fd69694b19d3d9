//! Programs as child processes: they listen on 127.0.0.1 alone, and end with the test that started them.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Instant;

use crate::support::PATIENCE;

/// A running program, and the lines that it prints.
pub struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    /// `None`, and a word about it, if there is no such program.
    pub fn start(command: &mut Command) -> Option<Self> {
        // Debian keeps servers where not every user looks for programs.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let spawned = command
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("SKIPPED: there is no {:?} here", command.get_program());
                return None;
            }
            spawned => spawned.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        };
        let (sender, lines) = mpsc::channel();
        pass_lines(child.stdout.take().expect("a pipe"), sender.clone());
        pass_lines(child.stderr.take().expect("a pipe"), sender);
        Some(Self { child, lines })
    }

    /// Waits for a line with this in it.
    pub fn wait_for_line(&self, part: &str) {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(part)) {
            let line = self.lines.recv_timeout(PATIENCE);
            lines.push(line.unwrap_or_else(|error| panic!("{error} for {part:?}: {lines:#?}")));
        }
    }

    /// Whether it has printed a line with this in it since it was last asked; what else it printed is forgotten.
    pub fn has_printed(&self, part: &str) -> bool {
        loop {
            match self.lines.try_recv() {
                Ok(line) if line.contains(part) => return true,
                Ok(_) => {}
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => panic!("it ended"),
            }
        }
    }

    /// Sends it a signal: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                // Its pipes are closed.
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().expect("wait"),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_lines(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            // A test that has ended does not listen, but a program must not wait for its reader.
            let _ = lines.send(line.expect("what programs print is text"));
        }
    });
}

/// Ports that nobody uses, all different.
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address"))
}

/// Waits until somebody listens there.
pub fn wait_for_listener(address: SocketAddr) {
    let start = Instant::now();
    while let Err(error) = TcpStream::connect(address) {
        assert!(start.elapsed() < PATIENCE, "{address}: {error}");
        std::thread::yield_now();
    }
}

/// A folder of its own for each caller, empty.
pub fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("proxies-{number}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder goes");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The proxies, each with the configuration that the guide shows.
#[derive(Clone, Copy, Debug)]
pub enum Proxy {
    HaProxy,
    Nginx,
}

impl Proxy {
    /// Starts it before two processes. The configuration is used as it stands but for the ports.
    pub fn start(self, address: SocketAddr, processes: [SocketAddr; 2]) -> Option<Program> {
        let with_ports = |text: &str| {
            text.replace("127.0.0.1:8080", &address.to_string())
                .replace("127.0.0.1:8081", &processes[0].to_string())
                .replace("127.0.0.1:8082", &processes[1].to_string())
        };
        let folder = folder();
        let mut command = match self {
            Proxy::HaProxy => {
                let file = folder.join("haproxy.cfg");
                fs::write(&file, with_ports(include_str!("../../src/guide/haproxy.cfg"))).expect("write");
                let mut command = Command::new("haproxy");
                command.arg("-db").arg("-f").arg(file);
                command
            }
            Proxy::Nginx => {
                let file = folder.join("nginx.conf");
                fs::write(folder.join("sockjs.conf"), with_ports(include_str!("../../src/guide/nginx.conf")))
                    .expect("write");
                fs::write(&file, NGINX).expect("write");
                let mut command = Command::new("nginx");
                command.arg("-p").arg(&folder).args(["-e", "stderr", "-c"]).arg(file);
                command
            }
        };
        let program = Program::start(&mut command)?;
        wait_for_listener(address);
        Some(program)
    }
}

/// What surrounds the configuration: one process, which anybody may start, and which leaves nothing behind.
const NGINX: &str = "
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include sockjs.conf;
}
";
