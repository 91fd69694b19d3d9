//! The request target and the host: RFC 9112 §3.2, RFC 9110 §7.2, RFC 3986 §3.2.
//!
//! In goes text of a request line or a `Host` field; out come the path and query as they stood there, never
//! percent-decoded, or an error. No name is looked up and no path normalised.

use core::net::Ipv6Addr;

use super::{HttpError, Method};

/// Splits a target into its path and query (RFC 9112 §3.2).
///
/// - origin-form `/path?query`: any method but CONNECT;
/// - absolute-form `http://host/path?query`: reduced to path and query, an empty path to `/`;
/// - asterisk-form `*`: OPTIONS alone. Its path is `*`;
/// - authority-form `host:port`, which is CONNECT's, is refused: there are no tunnels here.
///
/// Only visible ASCII is let through, and no `#`: a fragment is never sent, and servers differ in whether
/// they cut there.
pub(super) fn split<'b>(
    method: Method<'_>,
    target: &'b str,
) -> Result<(&'b str, Option<&'b str>), HttpError> {
    // A fold without early exit, so that it is done many bytes at a time.
    if !target.bytes().fold(true, |clean, byte| clean & byte.is_ascii_graphic() & (byte != b'#')) {
        return Err(HttpError::Target);
    }
    match (method, target) {
        (Method::Other("CONNECT"), _) => Err(HttpError::Tunnel),
        (Method::Options, "*") => Ok(("*", None)),
        _ if target.starts_with('/') => Ok(split_query(target)),
        _ => split_absolute(target),
    }
}

/// absolute-form: clients send it to what they take for a proxy, and any server must understand it
/// (RFC 9112 §3.2.2).
fn split_absolute(target: &str) -> Result<(&str, Option<&str>), HttpError> {
    let (scheme, rest) = target.split_once("://").ok_or(HttpError::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(HttpError::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    // User information in an http URI is a trick (RFC 9110 §4.2.4), and no host is.
    if !is_host(authority.as_bytes()) {
        return Err(HttpError::HostInvalid);
    }
    match split_query(rest) {
        ("", query) => Ok(("/", query)),
        whole => Ok(whole),
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

/// Whether `value` is what a `Host` field may hold: `uri-host [ ":" port ]`, RFC 3986 §3.2.2 and §3.2.3. No IPvFuture:
/// no such address was ever defined.
///
/// The grammar would let the host be empty, but an http URI without one is invalid and to
/// be rejected (RFC 9110 §4.2.1).
pub(super) fn is_host(value: &[u8]) -> bool {
    let is_literal = value.first() == Some(&b'[');
    let end = if is_literal {
        value.iter().position(|&byte| byte == b']').map(|bracket| bracket + 1)
    } else {
        value.iter().position(|&byte| byte == b':')
    };
    let Some((host, rest)) = value.split_at_checked(end.unwrap_or(value.len())) else { return false };
    let port_is_valid = match rest {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port_is_valid && if is_literal { is_ip_literal(host) } else { !host.is_empty() && is_reg_name(host) }
}

/// Whether it is the authority of a URL that browsers accept: a host as above, with a port that there is, if any.
pub fn is_authority(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    is_host(text.as_bytes()) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Whether browsers ask for a path as it stands here: `*( "/" segment-nz )` (RFC 3986 §3.3). They remove dot segments,
/// percent-encoded ones too, turn backslashes around, and percent-encode what is no `pchar` (WHATWG URL, path state).
pub fn is_normal_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let is_dot = |rest: &str| rest == "." || rest.eq_ignore_ascii_case("%2e");
        // A dot is one byte, or three.
        let are_dots = is_dot(segment)
            || [1, 3].iter().any(|length| {
                segment
                    .split_at_checked(*length)
                    .is_some_and(|(first, second)| is_dot(first) && is_dot(second))
            });
        let mut rest = segment.split([':', '@']);
        !segment.is_empty() && !are_dots && rest.all(|part| is_reg_name(part.as_bytes()))
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment))
}

/// `"[" IPv6address "]"`, RFC 3986 §3.2.2.
fn is_ip_literal(host: &[u8]) -> bool {
    let address = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    let address = address.and_then(|address| core::str::from_utf8(address).ok());
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// `*( unreserved / pct-encoded / sub-delims )`, RFC 3986 §3.2.2. IPv4 addresses are of this shape too.
fn is_reg_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~', rest @ ..] => rest,
            [b'!' | b'$' | b'&'..=b',' | b';' | b'=', rest @ ..] => rest,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_browsers_leave_as_they_are() {
        for path in [
            "",
            "/a",
            "/a/b.c/~d",
            "/...",
            "/.a",
            "/a.",
            "/%2ea",
            "/%20",
            "/a:b@c",
            "/a!$&'()*+,;=",
            "/__proto__",
        ] {
            assert!(is_normal_path(path), "{path}");
        }
        for path in [
            "a", "/", "//", "/a/", "//a", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/%2e", "/%2E.",
            "/.%2e", "/%2e%2E", "/a b", "/a?", "/a#", "/\\a", "/a\"", "/<", "/^", "/`", "/{}", "/|", "/%",
            "/%2", "/%zz", "/\u{e4}",
        ] {
            assert!(!is_normal_path(path), "{path}");
        }
    }

    #[test]
    fn authorities() {
        for text in ["a", "a:0", "a.example:65535", "[::1]", "[::1]:80", "127.0.0.1:80"] {
            assert!(is_authority(text), "{text}");
        }
        for text in ["", ":80", "a:", "a:65536", "a:+1", "a:b", "u@a", "[::1]:", "[::1]:65536", "::1", "a b"]
        {
            assert!(!is_authority(text), "{text}");
        }
    }

    #[test]
    fn hosts() {
        let valid = [
            "a",
            "localhost",
            "localhost:8081",
            "example.com:",
            "EXAMPLE.com.",
            "127.0.0.1:80",
            "xn--bcher-kva.example",
            "with_underscore.local",
            "%41%5a%fF",
            "a!$&'()*+,;=~-b",
            "[::1]",
            "[::1]:8081",
            "[2001:db8::192.0.2.1]",
            "[fe80:0:0:0:0:0:0:1]:",
        ];
        for host in valid {
            assert!(is_host(host.as_bytes()), "{host:?}");
        }
        let invalid: [&[u8]; 28] = [
            b"",
            b":80",
            b"a b",
            b"a/b",
            b"a?b",
            b"a#b",
            b"user@host",
            b"a\\b",
            b"a\"b",
            b"<a>",
            b"a:b",
            b"a:80:80",
            b"a:-1",
            b"a:+80",
            b"a: 80",
            b"::1",
            b"[::1",
            b"::1]",
            b"[]",
            b"[::1]80",
            b"[::1]]",
            b"[[::1]]",
            b"[::g]",
            b"[fe80::1%25eth0]",
            b"a%4",
            b"a%4g",
            b"b\xc3\xbccher.example",
            b"a\t",
        ];
        for host in invalid {
            assert!(!is_host(host), "{:?}", host.escape_ascii().to_string());
        }
    }

    #[test]
    fn targets() {
        use HttpError::{HostInvalid, Target, Tunnel};
        const CONNECT: Method<'static> = Method::Other("CONNECT");
        let get = Method::Get;
        let table = [
            (get, "/", Ok(("/", None))),
            (get, "/echo/000/abc/xhr", Ok(("/echo/000/abc/xhr", None))),
            (get, "/a?", Ok(("/a", Some("")))),
            (get, "/a?b=c?d&e=/f", Ok(("/a", Some("b=c?d&e=/f")))),
            (get, "//a", Ok(("//a", None))),
            (get, "/%2e/%", Ok(("/%2e/%", None))),
            (get, "/http://a/b", Ok(("/http://a/b", None))),
            (get, "/{}|^[]\"<>\\`", Ok(("/{}|^[]\"<>\\`", None))),
            (get, "/a#b", Err(Target)),
            (get, "/a\u{e9}", Err(Target)),
            (get, "/a\x7f", Err(Target)),
            (get, "a", Err(Target)),
            (get, "*", Err(Target)),
            (get, "?a", Err(Target)),
            (get, "", Err(Target)),
            (Method::Options, "*", Ok(("*", None))),
            (Method::Options, "*a", Err(Target)),
            (Method::Options, "/a", Ok(("/a", None))),
            (get, "http://a", Ok(("/", None))),
            (get, "http://a/", Ok(("/", None))),
            (get, "http://a?b", Ok(("/", Some("b")))),
            (get, "http://a/b?c", Ok(("/b", Some("c")))),
            (get, "http://a?b/c", Ok(("/", Some("b/c")))),
            (get, "HTTP://[::1]:80/b", Ok(("/b", None))),
            (get, "https://a.example/b", Ok(("/b", None))),
            (get, "http:///b", Err(HostInvalid)),
            (get, "http://:80/b", Err(HostInvalid)),
            (get, "http://user@a/b", Err(HostInvalid)),
            (get, "http://a\\b/c", Err(HostInvalid)),
            (get, "ftp://a/b", Err(Target)),
            (get, "http:/a", Err(Target)),
            (get, "a:80", Err(Target)),
            (CONNECT, "a:80", Err(Tunnel)),
            (CONNECT, "/a", Err(Tunnel)),
            (CONNECT, "http://a/b", Err(Tunnel)),
        ];
        for (method, target, expected) in table {
            assert_eq!(split(method, target), expected, "{method} {target}");
        }
    }
}
