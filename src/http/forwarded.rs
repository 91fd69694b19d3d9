//! The address of a client behind proxies: `X-Forwarded-For` and `X-Forwarded-Proto`.
//!
//! In go the address that the connection came from, field values, and the networks of the proxies that are
//! trusted; out comes the client's address and its scheme. Any client can send these fields: what no trusted
//! proxy vouches for is not believed.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use core::net::IpAddr;

use super::fields::decimal;

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
#[non_exhaustive]
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
        let prefix = prefix.map_or(Some(bits), decimal).ok_or(NetworkError)?;
        if prefix > bits {
            return Err(NetworkError);
        }
        Ok(Self { address, prefix })
    }
}

/// Where a request comes from, as far as trusted proxies vouch for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address: the last of `X-Forwarded-For` that no trusted proxy has, if the connection came from one.
    pub client: Option<IpAddr>,
    /// Which entry of each forwarded list speaks of this client, counted from the end and from 1. 0: none is believed,
    /// since the connection did not come from a trusted proxy.
    entry: usize,
}

impl Origin {
    /// Reads the fields `X-Forwarded-For`, of which several are one list.
    ///
    /// Each proxy appends the address that it saw, so the list is read from its end, and no further than it is vouched
    /// for: a client can forge entries, but only in front of those that proxies append. `peer` is `None` for a Unix
    /// socket, whose other end is on this machine and trusted.
    pub fn trace<'v>(
        peer: Option<IpAddr>,
        fields: impl Iterator<Item = &'v [u8]>,
        trusted: &[Network],
    ) -> Origin {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut client = peer;
        let mut hops = 0;
        let mut chain: Vec<&[u8]> = entries(fields).collect();
        while client.is_none_or(is_trusted) {
            let Some(before) = chain.pop().and_then(address) else { break };
            client = Some(before);
            hops += 1;
        }
        // A trusted proxy may name a scheme without a client: then the last entry is its own.
        let entry = if peer.is_none_or(is_trusted) { hops.max(1) } else { 0 };
        Origin { client, entry }
    }

    /// Whether the client speaks TLS, by the fields `X-Forwarded-Proto`, of which several are one list;
    /// `None`: no trusted proxy says. Its entry is as far from the end as the client's is in
    /// `X-Forwarded-For`; where a proxy overwrites the field instead of appending to it the list is shorter,
    /// and its first entry counts. (Where one proxy appends and the next one behind it does not, an entry that
    /// the client forged cannot be told from a proxy's.)
    pub fn is_https<'v>(&self, fields: impl Iterator<Item = &'v [u8]>) -> Option<bool> {
        if self.entry == 0 {
            return None;
        }
        let schemes: Vec<&[u8]> = entries(fields).collect();
        let scheme = schemes.get(schemes.len().saturating_sub(self.entry)).map(|entry| entry.trim_ascii());
        let scheme = scheme.filter(|scheme| !scheme.is_empty());
        // Some proxies (Traefik) name the scheme of an upgrade after WebSocket.
        scheme.map(|scheme| scheme.eq_ignore_ascii_case(b"https") || scheme.eq_ignore_ascii_case(b"wss"))
    }
}

/// The entries of several fields as of one list (RFC 9110 §5.3). Empty ones count too: entries of two lists belong
/// together by their distance from the end.
fn entries<'v>(fields: impl Iterator<Item = &'v [u8]>) -> impl Iterator<Item = &'v [u8]> {
    fields.flat_map(|field| field.split(|byte| *byte == b','))
}

/// One entry of the list: an address, perhaps with a port, an IPv6 one then in brackets. An IPv4 address within IPv6
/// becomes what it is.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_ascii();
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let is_port = |port: &str| decimal::<u16>(port).is_some();
            let is_end = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse().ok().filter(|_| is_end)?)
        }
        None => text.parse().ok().or_else(|| {
            let (address, port) = text.split_once(':')?;
            decimal::<u16>(port)?;
            Some(IpAddr::V4(address.parse().ok()?))
        })?,
    };
    Some(address.to_canonical())
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
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/x",
            "host",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/ 8",
            "10.0.0.0/8/8",
            "10.00.0.0/8",
            " 10.0.0.0/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
        assert!(NetworkError.to_string().ends_with("such as 10.0.0.0/8 (RFC 4632 §3.1)"));
    }

    #[test]
    fn the_list_is_read_from_its_end_and_no_further_than_it_is_vouched_for() {
        let trusted = networks(&["10.0.0.0/8"]);
        let cases: [(Option<&str>, &[&str], Option<&str>); 22] = [
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
            (Some("10.0.0.1"), &["[2001:db8::1]"], Some("2001:db8::1")),
            (Some("10.0.0.1"), &["::ffff:198.51.100.1"], Some("198.51.100.1")),
            (Some("10.0.0.1"), &["6.6.6.6, [::ffff:198.51.100.1]:80"], Some("198.51.100.1")),
            (Some("::ffff:10.0.0.1"), &["198.51.100.1, ::ffff:10.0.0.2"], Some("198.51.100.1")),
            // Not a port, or not an address.
            (Some("10.0.0.1"), &["198.51.100.1:+80"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["198.51.100.1:080"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["198.51.100.1:65536"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["[2001:db8::1]x"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["[198.51.100.1]:80"], Some("10.0.0.1")),
            (Some("10.0.0.1"), &["2001:db8::1:x"], Some("10.0.0.1")),
            (None, &["2001:db8::1"], Some("2001:db8::1")),
            (None, &[], None),
        ];
        for (peer, fields, expected) in cases {
            let parse = |text: &str| text.parse::<IpAddr>().unwrap();
            let fields_bytes = fields.iter().map(|field| field.as_bytes());
            assert_eq!(
                Origin::trace(peer.map(parse), fields_bytes, &trusted).client,
                expected.map(parse),
                "{peer:?} {fields:?}"
            );
        }
    }

    /// Contract, 12.16.
    #[test]
    fn the_scheme_is_the_entry_of_the_hop_that_names_the_client() {
        let trusted = networks(&["10.0.0.0/8"]);
        let (proxy, stranger) = (Some("10.0.0.1"), Some("203.0.113.9"));
        // The connection, `X-Forwarded-For`, `X-Forwarded-Proto`, and whether that is HTTPS, if it is known.
        type Case<'c> = (Option<&'c str>, &'c [&'c str], &'c [&'c str], Option<bool>);
        let cases: [Case<'_>; 24] = [
            (proxy, &["198.51.100.1"], &["https"], Some(true)),
            (proxy, &["198.51.100.1"], &["HTTPS"], Some(true)),
            (proxy, &["198.51.100.1"], &["wss"], Some(true)),
            (proxy, &["198.51.100.1"], &["http"], Some(false)),
            (proxy, &["198.51.100.1"], &["ws"], Some(false)),
            (proxy, &["198.51.100.1"], &[""], None),
            (proxy, &["198.51.100.1"], &[], None),
            (stranger, &["198.51.100.1"], &["https"], None),
            (stranger, &[], &["https"], None),
            (None, &["198.51.100.1"], &["https"], Some(true)),
            (None, &[], &["https"], Some(true)),
            // One proxy appends to what its client forged, in one field or in two.
            (proxy, &["6.6.6.6, 198.51.100.1"], &["https, http"], Some(false)),
            (proxy, &["198.51.100.1"], &["https", "http"], Some(false)),
            (proxy, &["6.6.6.6", "198.51.100.1"], &["http", "https"], Some(true)),
            (proxy, &["198.51.100.1"], &["https, http, http"], Some(false)),
            // Two proxies: the outer one says how the client came, the inner one how the outer one came.
            (proxy, &["198.51.100.1, 10.0.0.2"], &["https, http"], Some(true)),
            (proxy, &["198.51.100.1, 10.0.0.2"], &["http, https"], Some(false)),
            (proxy, &["198.51.100.1", "10.0.0.2"], &["https", "http"], Some(true)),
            (proxy, &["6.6.6.6, 198.51.100.1, 10.0.0.2"], &["https, http, https"], Some(false)),
            // One that overwrites the field, or leaves it as it came from the outer one.
            (proxy, &["198.51.100.1, 10.0.0.2"], &["https"], Some(true)),
            (proxy, &["198.51.100.1, 10.0.0.3, 10.0.0.2"], &["https, http"], Some(true)),
            // A proxy that names no client, or none that can be read.
            (proxy, &[], &["https"], Some(true)),
            (proxy, &[], &["https, http"], Some(false)),
            (proxy, &["unknown"], &["http, https"], Some(true)),
        ];
        for (peer, addresses, schemes, expected) in cases {
            let peer = peer.map(|text| text.parse().unwrap());
            let origin = Origin::trace(peer, addresses.iter().map(|field| field.as_bytes()), &trusted);
            let is_https = origin.is_https(schemes.iter().map(|field| field.as_bytes()));
            assert_eq!(is_https, expected, "{peer:?} {addresses:?} {schemes:?}");
        }
    }
}
