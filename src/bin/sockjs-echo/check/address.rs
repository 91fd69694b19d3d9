//! The URL of an endpoint: where to connect, and what to ask for.

use std::fmt;

/// An endpoint that is reached without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Host and port as the URL has them: the value of `Host`.
    pub(super) authority: String,
    /// The host, an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The endpoint's prefix, without a trailing slash.
    pub(super) path: String,
}

/// Why a URL is not that of an endpoint which can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlError {
    Tls,
    Scheme,
    Host,
    Port,
    Path,
}

impl fmt::Display for UrlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            UrlError::Tls => {
                "https:// needs TLS, which this program does not speak. Check the server behind its proxy by \
                 http://, or put a program in between that speaks TLS, as in: \
                 socat TCP-LISTEN:8443,bind=127.0.0.1,fork,reuseaddr OPENSSL:HOST:443"
            }
            UrlError::Scheme => "must begin with http://, as in http://127.0.0.1:8081/echo",
            UrlError::Host => "must name a host, as in http://127.0.0.1:8081/echo, and no user",
            UrlError::Port => "the port must be a number between 1 and 65535",
            UrlError::Path => "must end with the endpoint's path, without a query, a fragment or white space",
        })
    }
}

impl std::error::Error for UrlError {}

impl Address {
    /// Reads `http://host[:port][/path]`.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let Some((scheme, rest)) = url.split_once("://") else { return Err(UrlError::Scheme) };
        match &*scheme.to_ascii_lowercase() {
            "http" => {}
            "https" | "wss" => return Err(UrlError::Tls),
            _ => return Err(UrlError::Scheme),
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // Both become part of a request: a line end, or a space, would make it another one.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain(path) || path.contains(['?', '#']) {
            return Err(UrlError::Path);
        }
        if !is_plain(authority) || authority.contains(['@', '\\']) {
            return Err(UrlError::Host);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(UrlError::Host)?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(UrlError::Port)?,
            None if port.is_empty() => 80,
            None => return Err(UrlError::Host),
        };
        Ok(Self {
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (url, authority, host, port, path) in [
            ("http://h", "h", "h", 80, ""),
            ("http://h/", "h", "h", 80, ""),
            ("HTTP://h:8081/a/echo/", "h:8081", "h", 8081, "/a/echo"),
            ("http://[::1]:5/echo", "[::1]:5", "::1", 5, "/echo"),
            ("http://[::1]", "[::1]", "::1", 80, ""),
        ] {
            let expected = Address {
                authority: authority.to_owned(),
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            };
            assert_eq!(Address::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        for (url, error) in [
            ("", UrlError::Scheme),
            ("127.0.0.1:8081/echo", UrlError::Scheme),
            ("ftp://h", UrlError::Scheme),
            ("https://h/echo", UrlError::Tls),
            ("wss://h/echo", UrlError::Tls),
            ("http://", UrlError::Host),
            ("http:///echo", UrlError::Host),
            ("http://u@h/echo", UrlError::Host),
            ("http://h h/echo", UrlError::Host),
            ("http://[::1/echo", UrlError::Host),
            ("http://[::1]5/echo", UrlError::Host),
            ("http://h:/echo", UrlError::Port),
            ("http://h:0/echo", UrlError::Port),
            ("http://h:65536/echo", UrlError::Port),
            ("http://h/echo?a", UrlError::Path),
            ("http://h?a", UrlError::Path),
            ("http://h/echo#a", UrlError::Path),
            ("http://h/a b", UrlError::Path),
            ("http://h/a\r\nb", UrlError::Path),
        ] {
            assert_eq!(Address::parse(url), Err(error), "{url:?}");
        }
    }
}
