//! How many connections each client has, where that is limited. A client is an IPv4 address, or an IPv6 network of 64
//! bits: a host that has one address of it has them all (RFC 4291 §2.5.1).
//!
//! Only clients that are there have an entry, so that the table is never larger than the connections are many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::http::Network;

/// The clients that are there, and their connections.
pub(super) struct Clients {
    /// The option `connections_per_client`; `None`: nothing is counted.
    most: Option<usize>,
    /// Of the options; requests in the hands of handlers hold them too.
    trusted: Arc<[Network]>,
    /// In the standard library's randomly keyed table: clients choose their addresses, within limits.
    connections: HashMap<Client, u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    V4(u32),
    V6(u64),
}

/// Entries for which a table keeps its memory.
const KEPT: usize = 64;

impl Clients {
    /// Bytes of memory for each client at most: an entry and its byte of control, in a table that grows when it is seven
    /// eighths full, to twice as much, while the one before is still there.
    pub(super) const ENTRY: usize = 4 * (size_of::<(Client, u32)>() + 1);

    pub(super) fn new(most: Option<usize>, trusted: &[Network]) -> Self {
        Self { most, trusted: trusted.into(), connections: HashMap::new() }
    }

    /// The networks of proxies that are trusted to name their clients.
    pub(super) fn trusted(&self) -> Arc<[Network]> {
        Arc::clone(&self.trusted)
    }

    /// Whether this is the address of a trusted proxy, which stands for many clients.
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// One more connection; `false`: its client has as many as it may, and this one does not count.
    pub(super) fn enter(&mut self, address: IpAddr) -> bool {
        let Some(most) = self.most else { return true };
        let count = self.connections.entry(Client::of(address)).or_default();
        let is_room = (*count as usize) < most;
        *count += u32::from(is_room);
        is_room
    }

    /// A connection that counted is gone.
    pub(super) fn leave(&mut self, address: IpAddr) {
        let client = Client::of(address);
        let Some(count) = self.connections.get_mut(&client) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.connections.remove(&client);
        let (here, room) = (self.connections.len(), self.connections.capacity());
        if room > KEPT && here < room / 8 {
            self.connections.shrink_to(KEPT.max(2 * here));
        }
    }
}

impl Client {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Client::V4(address.to_bits()),
            IpAddr::V6(address) => Client::V6((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_has_so_many_and_no_more() {
        let mut clients = Clients::new(Some(2), &[]);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"] {
            let address = ip(address);
            assert!(clients.enter(address) && clients.enter(address));
            assert!(!clients.enter(address));
            clients.leave(address);
            assert!(clients.enter(address), "one has left");
            assert!(!clients.enter(address), "but no more than one");
        }
        assert!(!clients.enter(ip("2001:db8::ffff:0:0:2")), "of the same network");
        assert_eq!(clients.connections.len(), 4);
    }

    #[test]
    fn nothing_is_kept_of_clients_that_have_left() {
        let mut clients = Clients::new(Some(1), &[]);
        let addresses = || (0..100_000).map(|number: u32| IpAddr::V4(number.into()));
        assert!(addresses().all(|address| clients.enter(address)));
        assert!(addresses().all(|address| !clients.enter(address)));
        addresses().for_each(|address| clients.leave(address));
        assert_eq!(clients.connections.len(), 0);
        assert!(clients.connections.capacity() <= 2 * KEPT, "{}", clients.connections.capacity());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut clients = Clients::new(None, &[]);
        assert!((0..1000).all(|_| clients.enter(ip("192.0.2.1"))));
        clients.leave(ip("192.0.2.1"));
        assert_eq!(clients.connections.capacity(), 0);
    }

    /// Shrinking costs time: it is worth that where most of the table is empty.
    #[test]
    fn the_table_keeps_its_room_until_an_eighth_of_it_is_left() {
        let address = |number: usize| IpAddr::V4((number as u32).into());
        let mut clients = Clients::new(Some(1), &[]);
        let count = 16 * KEPT;
        assert!((0..count).all(|number| clients.enter(address(number))));
        let room = clients.connections.capacity();
        (room / 4..count).for_each(|number| clients.leave(address(number)));
        // Entries that were removed may count as taken.
        assert!(clients.connections.capacity() > room / 4 * 3);
        (0..room / 4).for_each(|number| clients.leave(address(number)));
        assert!(clients.connections.capacity() <= 4 * KEPT);
    }
}
