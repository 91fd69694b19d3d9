//! Who a client is when proxies stand between: `X-Forwarded-For` and `X-Forwarded-Proto`.
//!
//! In go the address that the connection came from, field values, and the networks of the proxies that are trusted; out
//! comes the client's address. Anybody can send these fields: what no trusted proxy vouches for is not believed.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use core::net::IpAddr;

/// A range of addresses, as in `10.0.0.0/8`, `::1` or `fd00::/8`.
///
/// ```
/// use sockjs_server::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// # Ok::<(), sockjs_server::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// A text that is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not an address, or one with a prefix length such as 10.0.0.0/8 (RFC 4632 §3.1)")
    }
}

impl Error for NetworkError {}

impl Network {
    /// Whether an address lies in it. An IPv4 address within IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, bits) = number(self.address);
        let (other, other_bits) = number(address);
        bits == other_bits && (own ^ other).checked_shr(bits - self.prefix).unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u32) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let (_, bits) = number(address);
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| NetworkError)?;
        if prefix > bits {
            return Err(NetworkError);
        }
        Ok(Self { address, prefix })
    }
}

/// The client's address: the last of `X-Forwarded-For` that no trusted proxy has, if the connection came from one.
///
/// Each proxy appends the address that it saw, so the list is read from its end, and no further than it is vouched for.
/// `peer` is `None` for a Unix socket, whose other end is on this machine and trusted.
pub fn client<'v>(
    peer: Option<IpAddr>,
    fields: impl Iterator<Item = &'v [u8]>,
    trusted: &[Network],
) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let mut chain: Vec<&[u8]> = fields.flat_map(|field| field.split(|byte| *byte == b',')).collect();
    while client.is_none_or(is_trusted) {
        let Some(before) = chain.pop().and_then(address) else { break };
        client = Some(before);
    }
    client
}

/// One entry of the list: an address, perhaps with a port, an IPv6 one then in brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if let Some((inside, _)) = bracketed {
        return inside.parse().ok();
    }
    text.parse().ok().or_else(|| text.rsplit_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn networks_are_ranges() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
        ];
        for (network, address, expected) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/x", "host"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }

    #[test]
    fn the_list_is_read_from_its_end_and_no_further_than_it_is_vouched_for() {
        let trusted = networks(&["10.0.0.0/8"]);
        let cases: [(Option<&str>, &[&str], Option<&str>); 12] = [
            (Some("203.0.113.9"), &["198.51.100.1"], Some("203.0.113.9")),
            (Some("10.0.0.1"), &["198.51.100.1"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &["6.6.6.6, 198.51.100.1"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &["198.51.100.1, 10.0.0.2"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &["6.6.6.6", "198.51.100.1,10.0.0.2"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &[], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["unknown"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["198.51.100.1, junk"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["198.51.100.1:4711"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (None, &["2001:db8::1"], Some("2001:db8::1")),
            (None, &[], None),
        ];
        for (peer, fields, expected) in cases {
            let parse = |text: &str| text.parse::<IpAddr>().unwrap();
            let fields_bytes = fields.iter().map(|field| field.as_bytes());
            assert_eq!(
                client(peer.map(parse), fields_bytes, &trusted),
                expected.map(parse),
                "{peer:?} {fields:?}"
            );
        }
    }
}
