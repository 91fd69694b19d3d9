//! How an endpoint is mounted, on a server and on a simulated one alike.

use std::fmt;
use std::io;

use super::{Host, SHUT_DOWN, Sockets};
use crate::engine::{EndpointOptions, OptionError};
use crate::handler::{EndpointId, Handler};
use crate::http::is_normal_path;

/// Why an endpoint could not be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountError {
    /// A prefix is empty, or a path as browsers ask for it, without a trailing slash: `/echo`, `/a/b`. They remove
    /// segments such as `.` and `..`, and percent-encode what may not stand in a path (RFC 3986 §3.3).
    Prefix(String),
    /// Another endpoint has this prefix.
    Taken(String),
    /// An option cannot work.
    Option(OptionError),
    /// The server has 65,536 endpoints, and can have no more.
    TooMany,
    /// The server is shutting down, or has stopped: no client could reach the endpoint.
    ShutDown,
}

impl fmt::Display for MountError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::Prefix(prefix) => {
                let rule = "it must be empty, or a path as browsers ask for it, like \"/echo\"";
                write!(
                    formatter,
                    "{prefix:?} is no prefix: {rule} (RFC 3986 §3.3; no empty segments, `.` or `..`)"
                )
            }
            MountError::Taken(prefix) => write!(formatter, "another endpoint has the prefix {prefix:?}"),
            MountError::Option(error) => error.fmt(formatter),
            MountError::TooMany => formatter.write_str("a server has 65,536 endpoints at most"),
            MountError::ShutDown => formatter.write_str(SHUT_DOWN),
        }
    }
}

impl std::error::Error for MountError {}

impl From<MountError> for io::Error {
    fn from(error: MountError) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

impl<D: Sockets> Host<D> {
    /// Mounts an endpoint. A trailing slash of the prefix does not count.
    pub(crate) fn mount<S, H>(
        &mut self,
        prefix: &str,
        options: EndpointOptions,
        handler: H,
    ) -> Result<EndpointId<S>, MountError>
    where
        S: Send + 'static,
        H: Handler<S>,
    {
        if self.is_ending() {
            return Err(MountError::ShutDown);
        }
        let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_normal_path(trimmed) {
            return Err(MountError::Prefix(prefix.to_owned()));
        }
        if self.engine.prefixes().any(|taken| taken == trimmed) {
            return Err(MountError::Taken(prefix.to_owned()));
        }
        let number = self.engine.mount(trimmed, options).map_err(MountError::Option)?;
        let number = number.ok_or(MountError::TooMany)?;
        self.mounts.push(handler);
        Ok(EndpointId::new(number))
    }
}
