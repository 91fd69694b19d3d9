//! The sockets to listen on: bound here, or inherited.

use std::io;
#[cfg(unix)]
use std::net::TcpListener;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
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
            bound.map(describe).map_err(|error| explain(&address.to_string(), error))
        }
        #[cfg(unix)]
        Listen::Unix(path) => {
            let listener = bind_unix(path).map_err(|error| explain(&path.to_string_lossy(), error))?;
            server.add_unix_listener(listener, preamble)?;
            Ok(path.display().to_string())
        }
        #[cfg(unix)]
        Listen::Inherited => inherit(server, preamble).map_err(|error| explain("the standard input", error)),
        #[cfg(not(unix))]
        Listen::Unix(_) | Listen::Inherited => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn describe(address: SocketAddr) -> String {
    format!("{address}. Open http://{}/ in a browser.", reachable(address))
}

/// A socket whose server is gone is in the way of the next one; one that answers is not ours to take.
#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        outcome => outcome,
    }
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
