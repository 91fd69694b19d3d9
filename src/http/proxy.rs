//! The PROXY protocol, versions 1 and 2: what a load balancer says of its client before the first request.
//!
//! In go the first bytes of a connection; out comes the client's address, how many bytes said so, "need more", or an
//! error. It is read only where a listener was told to expect it: then every connection must begin with it.
//! (HAProxy, "The PROXY protocol", sections 2.1 and 2.2.)

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::fields::decimal;

/// The longest line of version 1, with its CRLF.
const LONGEST_LINE: usize = 107;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The most that is read of version 2's addresses and extensions.
const LONGEST_REST: usize = 4096;

/// A connection that does not begin as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyError;

/// What was said: the client's address, unless the balancer speaks for itself (`UNKNOWN`, `LOCAL`) or the family is not
/// TCP over IP; and how many bytes said so.
pub type Named = (Option<SocketAddr>, usize);

/// Reads the header at the front of `input`; `None`: it is not there whole.
pub fn parse(input: &[u8]) -> Result<Option<Named>, ProxyError> {
    match input.first() {
        None => Ok(None),
        Some(b'P') => parse_line(input),
        Some(_) => parse_binary(input),
    }
}

/// Version 1: `PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n`.
fn parse_line(input: &[u8]) -> Result<Option<Named>, ProxyError> {
    let start = input.get(..LONGEST_LINE).unwrap_or(input);
    let Some(end) = start.windows(2).position(|pair| pair == b"\r\n") else {
        let begins = start.starts_with(b"PROXY ") || b"PROXY ".starts_with(start);
        return if begins && input.len() < LONGEST_LINE { Ok(None) } else { Err(ProxyError) };
    };
    let line = start.get(..end).and_then(|line| str::from_utf8(line).ok()).ok_or(ProxyError)?;
    let length = end + 2;
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return Err(ProxyError);
    }
    let family = words.next().ok_or(ProxyError)?;
    if family == "UNKNOWN" {
        return Ok(Some((None, length)));
    }
    let (source, destination) = (words.next().and_then(ip), words.next().and_then(ip));
    let (port, own_port) = (words.next().and_then(port), words.next().and_then(port));
    match (source, destination, port, own_port, words.next()) {
        (Some(source), Some(destination), Some(port), Some(_), None)
            if source.is_ipv4() == (family == "TCP4")
                && destination.is_ipv4() == source.is_ipv4()
                && matches!(family, "TCP4" | "TCP6") =>
        {
            Ok(Some((Some(SocketAddr::new(source, port)), length)))
        }
        _ => Err(ProxyError),
    }
}

fn ip(word: &str) -> Option<IpAddr> {
    word.parse().ok()
}

/// "In decimal", in the range 0..65535, without leading zeros (section 2.1).
fn port(word: &str) -> Option<u16> {
    decimal(word)
}

/// Version 2: a signature, the command, the family, a length, and the addresses in binary.
fn parse_binary(input: &[u8]) -> Result<Option<Named>, ProxyError> {
    if !input.starts_with(SIGNATURE) {
        return if SIGNATURE.starts_with(input) { Ok(None) } else { Err(ProxyError) };
    }
    let Some(([command, family, high, low], rest)) =
        input.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk)
    else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if command >> 4 != 2 || length > LONGEST_REST {
        return Err(ProxyError);
    }
    let Some(addresses) = rest.get(..length) else { return Ok(None) };
    let consumed = SIGNATURE.len() + 4 + length;
    match (command & 0x0f, family) {
        // The balancer's own: a health check.
        (0, _) => Ok(Some((None, consumed))),
        (1, 0x11) => Ok(Some((Some(source::<4>(addresses, 4).ok_or(ProxyError)?), consumed))),
        (1, 0x21) => Ok(Some((Some(source::<16>(addresses, 16).ok_or(ProxyError)?), consumed))),
        (1, _) => Ok(Some((None, consumed))),
        _ => Err(ProxyError),
    }
}

/// The source of two addresses of `N` bytes each and two ports.
fn source<const N: usize>(addresses: &[u8], size: usize) -> Option<SocketAddr>
where
    [u8; N]: IntoIp,
{
    let address: [u8; N] = *addresses.first_chunk()?;
    let port: [u8; 2] = *addresses.get(2 * size..)?.first_chunk()?;
    // The destination's port must be there too.
    addresses.get(2 * size + 2..2 * size + 4)?;
    Some(SocketAddr::new(address.into_ip(), u16::from_be_bytes(port)))
}

trait IntoIp {
    fn into_ip(self) -> IpAddr;
}

impl IntoIp for [u8; 4] {
    fn into_ip(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(self))
    }
}

impl IntoIp for [u8; 16] {
    fn into_ip(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [SIGNATURE.as_slice(), &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    #[test]
    fn headers_of_both_versions_whole_and_byte_by_byte() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
        let mut v6 = [0; 36];
        (v6[0], v6[15], v6[32], v6[33]) = (0x20, 1, 0x12, 0x67);
        let longest = format!("PROXY UNKNOWN {:x<91}\r\n", "");
        assert_eq!(longest.len(), LONGEST_LINE);
        let extended = [&v4[..], &[0; LONGEST_REST - 12]].concat();
        let cases: [(Vec<u8>, Option<&str>); 12] = [
            (longest.into_bytes(), None),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(), Some("203.0.113.9:4711")),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 0 65535\r\n".to_vec(), Some("203.0.113.9:0")),
            (b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n".to_vec(), Some("[2001:db8::1]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &v4), Some("203.0.113.9:4711")),
            (binary(0x21, 0x11, &[&v4[..], b"\x03\0\x01x"].concat()), Some("203.0.113.9:4711")),
            (binary(0x21, 0x11, &extended), Some("203.0.113.9:4711")),
            (binary(0x21, 0x21, &v6), Some("[2000::1]:4711")),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ];
        for (header, expected) in cases {
            let expected = Ok(Some((expected.map(|text| text.parse().unwrap()), header.len())));
            assert_eq!(parse(&[&header[..], b"GET / HTTP/1.1\r\n"].concat()), expected);
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(None), "{:?}", &header[..cut]);
            }
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases: [Vec<u8>; 28] = [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"PUT".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80 1\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 ::1 4711 80\r\n".to_vec(),
            b"PROXY TCP6 203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY UDP6 ::1 ::1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 99999 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 +4711 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 04711 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 +80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 0080\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 00\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 \r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 65536\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.09 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 +203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY UDP4 203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY\r\n".to_vec(),
            [b"PROXY ".as_slice(), &[b'x'; LONGEST_LINE - 6]].concat(),
            [b"PROXY UNKNOWN ".as_slice(), &[b'x'; LONGEST_LINE - 15], b"\r\n"].concat(),
            b"\r\n\r\n\0\r\nQUIX".to_vec(),
            binary(0x31, 0x11, &[0; 12]),
            binary(0x22, 0x11, &[0; 12]),
            binary(0x21, 0x11, &[0; 11]),
            binary(0x21, 0x21, &[0; 35]),
            binary(0x21, 0x11, &[0; LONGEST_REST + 1]),
        ];
        for header in cases {
            assert_eq!(parse(&header), Err(ProxyError), "{header:?}");
        }
    }
}
