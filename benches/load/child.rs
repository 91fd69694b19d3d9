//! The servers in processes of their own: this binary starts itself again with a role, so that a server's CPU time
//! and memory are its own, and neither is slowed by the other.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::counting::bytes_in_use;
use crate::floor::{self, Duty};
use crate::secure::Certificate;
use crate::server;

/// The first argument of a process that is to serve.
pub(crate) const ROLE: &str = "--role";

/// A server in a process of its own, killed when dropped.
pub(crate) struct Child {
    process: process::Child,
    lines: BufReader<process::ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Child {
    /// Our server.
    pub(crate) fn server() -> io::Result<Self> {
        Self::start(&["server".into()])
    }

    /// The same behind TLS.
    pub(crate) fn secure(certificate: &Certificate) -> io::Result<Self> {
        Self::start(&["secure".into(), certificate.chain.clone(), certificate.key.clone()])
    }

    /// The floor, which moves at most `buffer` bytes at once.
    pub(crate) fn floor(duty: Duty, buffer: usize) -> io::Result<Self> {
        let (name, request, response) = match duty {
            Duty::Echo => ("echo", 0, 0),
            Duty::Answer { request, response } => ("answer", request, response),
            Duty::Spread { request, response } => ("spread", request, response),
        };
        Self::start(&[name.into(), buffer.to_string(), request.to_string(), response.to_string()])
    }

    /// An echo on another library, of the program that `--peers` names.
    pub(crate) fn peer(program: &Path, name: &str) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg(name);
        Self::spawn(command)
    }

    fn start(role: &[String]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).args(role);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> io::Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        pin(process.id(), Core::Last)?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut child = Self { process, lines: BufReader::new(stdout), address: ([127, 0, 0, 1], 0).into() };
        let port = child.answer()?;
        child.address.set_port(port);
        Ok(child)
    }

    fn answer<T: std::str::FromStr>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        line.trim().parse().map_err(|_| io::Error::other(format!("the child said {line:?}")))
    }

    /// Heap bytes in use, as its own allocator counts them.
    pub(crate) fn heap(&mut self) -> io::Result<usize> {
        let stdin = self.process.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        stdin.write_all(b"heap\n")?;
        self.answer()
    }

    /// Bytes in physical memory.
    pub(crate) fn resident(&self) -> io::Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// How long the server was ready to run and its core was taken by another program.
    pub(crate) fn held_up(&self) -> io::Result<Duration> {
        let status = std::fs::read_to_string(format!("/proc/{}/schedstat", self.process.id()))?;
        let nanoseconds = status.split(' ').nth(1).and_then(|time| time.parse().ok());
        nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other("no time in the run queue"))
    }

    /// User and system time so far, to the nanosecond.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let process = self.process.id() as libc::pid_t;
        // SAFETY: both pointers are to locals of the right types, which outlive the calls.
        let failed = unsafe {
            libc::clock_getcpuclockid(process, &raw mut clock) != 0
                || libc::clock_gettime(clock, &raw mut time) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a child does: serve, answer questions on its standard input, and end when that is closed.
pub(crate) fn serve(role: &[String]) -> io::Result<()> {
    raise_descriptor_limit()?;
    std::thread::spawn(|| {
        for line in io::stdin().lines() {
            if line.is_ok_and(|line| line == "heap") {
                println!("{}", bytes_in_use());
            }
        }
        process::exit(0);
    });
    let ready = |address: SocketAddr| println!("{}", address.port());
    let size = |index: usize| role.get(index).and_then(|size| size.parse().ok()).unwrap_or(0);
    let (buffer, request, response) = (size(1), size(2), size(3));
    match role.first().map(String::as_str) {
        Some("server") => server::run(None, ready),
        Some("secure") => {
            let text = |index: usize| role.get(index).cloned().unwrap_or_default();
            server::run(Some(&Certificate { chain: text(1), key: text(2) }), ready)
        }
        Some("echo") => floor::run(Duty::Echo, buffer, ready),
        Some("answer") => floor::run(Duty::Answer { request, response }, buffer, ready),
        Some("spread") => floor::run(Duty::Spread { request, response }, buffer, ready),
        _ => Err(io::Error::other(format!("no role: {role:?}"))),
    }
}

/// Where a process runs. The client has the first core and all servers, which never work at the same time, the last:
/// left to itself the system moves one contestant next to the client and another away from it, and what it then
/// costs to wake each other differs by more than anything that is measured here.
#[derive(Clone, Copy)]
enum Core {
    First,
    Last,
}

static CORES: OnceLock<usize> = OnceLock::new();

/// Gives this process, the client, its core; the servers get another, unless all are to share `one`.
pub(crate) fn take_core(one: bool) -> io::Result<()> {
    let available = std::thread::available_parallelism().map_or(1, NonZero::get);
    CORES.get_or_init(|| if one { 1 } else { available });
    pin(0, Core::First)
}

/// Binds a process to a core; 0 is the thread that calls, and those that it starts.
fn pin(process: u32, core: Core) -> io::Result<()> {
    let number = match core {
        Core::First => 0,
        Core::Last => CORES.get().map_or(0, |cores| cores - 1),
    };
    // SAFETY: a set of cores is plain bits, and the pointer is to a local that outlives the call.
    let failed = unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(number, &mut cores);
        libc::sched_setaffinity(process as libc::pid_t, size_of_val(&cores), &raw const cores) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Moves a thread of a server to the client's core, where it gives way: there it takes none of the server's time.
pub(crate) fn leave_core() -> io::Result<()> {
    pin(0, Core::First)?;
    give_way()
}

/// From now on the calling thread gives way to others of its core.
pub(crate) fn give_way() -> io::Result<()> {
    // SAFETY: no memory is involved; 0 is the thread that calls.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) != 0 };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// As many descriptors as the system lets us have; says how many that are.
pub(crate) fn raise_descriptor_limit() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local of the right type, which outlives the calls.
    let failed = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 || {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0
        }
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(limit.rlim_cur as usize) }
}
