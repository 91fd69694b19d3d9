//! The sockets to listen on: bound here, or inherited.

#[cfg(unix)]
use std::fs;
use std::io;
#[cfg(unix)]
use std::net::TcpListener;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::fs::{FileTypeExt, MetadataExt};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::Path;

use sockjs_server::{Preamble, Server};

use crate::arguments::Listen;
use crate::explain;

/// Listens there, and says where that is.
pub(crate) fn on(server: &mut Server, place: &Listen, preamble: Preamble) -> io::Result<String> {
    match place {
        Listen::Tcp(address) => {
            let bound = server.listen_with(address, preamble);
            bound.map(describe).map_err(|error| explain_address(*address, error))
        }
        #[cfg(unix)]
        Listen::Unix(path) => {
            let listener = bind_unix(path)
                .map_err(|error| explain(&format!("--listen unix:{}", path.display()), error))?;
            server.add_unix_listener(listener, preamble)?;
            Ok(path.display().to_string())
        }
        #[cfg(unix)]
        Listen::Inherited => inherit(server, preamble)
            .map_err(|error| explain("--listen inherited: the standard input", error)),
        #[cfg(not(unix))]
        Listen::Unix(_) | Listen::Inherited => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn explain_address(address: SocketAddr, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::AddrInUse {
        return io::Error::new(error.kind(), format!("--listen {error}"));
    }
    let other = SocketAddr::new(address.ip(), 0);
    let advice = format!("another program listens there; --listen {other} takes any free port");
    io::Error::new(error.kind(), format!("--listen {error}: {advice}"))
}

fn describe(address: SocketAddr) -> String {
    format!("{address}. Open http://{}/ in a browser.", reachable(address))
}

/// Binds a Unix socket. One whose server is gone is in the way of the next, and is removed; nothing else is.
#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_dead_socket(path)?;
            UnixListener::bind(path)
        }
        outcome => outcome,
    }
}

/// Removes a socket on which no process listens any more. Whatever else has this path stays,
/// and the error says what it is.
#[cfg(unix)]
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    // A symbolic link is not followed: what it leads to was not named.
    if !found.file_type().is_socket() {
        return in_the_way("the file there is no socket, and is not removed");
    }
    // Without blocking: a server that is busy for long has a full backlog, and is alive all the same.
    match mio::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Ok(_) => return in_the_way("another process listens there"),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return in_the_way("another process listens there, and its backlog is full");
        }
        // Not permitted, or a socket of another type: it may well be in use.
        Err(error) => {
            return in_the_way(&format!("the socket there may be in use, and is not removed ({error})"));
        }
    }
    // Another process may have replaced the dead socket in the meantime, as this one is about to.
    if identity(&fs::symlink_metadata(path)?) != identity(&found) {
        return in_the_way("another process has just begun to listen there");
    }
    fs::remove_file(path)
}

#[cfg(unix)]
fn in_the_way(what: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::AddrInUse, what))
}

/// Which file it is. The number of one that was removed may be given to the next one, but
/// the time of its making differs.
#[cfg(unix)]
fn identity(file: &fs::Metadata) -> (u64, u64, i64, i64) {
    (file.dev(), file.ino(), file.ctime(), file.ctime_nsec())
}

/// The standard input is the one descriptor that a program can take over without `unsafe`. systemd passes a socket
/// there with `StandardInput=socket`.
#[cfg(unix)]
fn inherit(server: &mut Server, preamble: Preamble) -> io::Result<String> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    match listener.local_addr() {
        Ok(address) => {
            server.add_listener(listener, preamble)?;
            Ok(describe(address))
        }
        // Of another family, or no socket at all.
        Err(_) => {
            let listener = UnixListener::from(OwnedFd::from(listener));
            listener.local_addr()?;
            server.add_unix_listener(listener, preamble)?;
            Ok("an inherited Unix socket".to_owned())
        }
    }
}

/// An address that a browser on this machine can open.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
