//! How many connections and sessions each client has, where that is limited. A client is an IPv4 address, or an IPv6
//! network of 64 bits: a host that has one address of it has them all (RFC 4291 §2.5.1).
//!
//! Only clients that are there have an entry, so that no table is larger than the
//! connections, or the sessions, are many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::options::ServerOptions;
use crate::collections::{put, trim};
use crate::http::Network;

/// The clients that are there, with their connections and sessions.
pub(super) struct Clients {
    /// Of the options; requests in the hands of handlers hold them too.
    trusted: Arc<[Network]>,
    connections: Counts,
    sessions: Counts,
    /// The clients of sessions that count, by the numbers of the sessions' slots. (A session has no room for its
    /// client: it is small, and mostly there is no limit.)
    owners: Vec<Option<Client>>,
}

/// How many of something each client has.
struct Counts {
    /// The option; `None`: nothing is counted.
    most: Option<usize>,
    /// In the standard library's randomly keyed table: clients choose their addresses, within limits.
    by_client: HashMap<Client, u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    V4(u32),
    V6(u64),
}

/// Entries for which a table keeps its memory.
const KEPT: usize = 64;

impl Clients {
    /// Bytes of memory for each client at most: an entry and its byte of control, in a table that grows when it is
    /// seven eighths full, to twice as much, while the one before is still there.
    pub(super) const ENTRY: usize = 4 * (size_of::<(Client, u32)>() + 1);

    /// Bytes of memory for each session at most: its client's entry, and its place in a list, with that in the
    /// one before while the list grows.
    pub(super) const OWNED: usize = Self::ENTRY + 3 * size_of::<Option<Client>>();

    pub(super) fn new(options: &ServerOptions) -> Self {
        Self {
            trusted: (&*options.trusted_proxies).into(),
            connections: Counts::new(options.connections_per_client),
            sessions: Counts::new(options.sessions_per_client),
            owners: Vec::new(),
        }
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
        let client = Client::of(address);
        let has_room = self.connections.has_room(client);
        if has_room {
            self.connections.add(client);
        }
        has_room
    }

    /// A connection that counted is gone.
    pub(super) fn leave(&mut self, address: IpAddr) {
        self.connections.remove(Client::of(address));
    }

    /// Whether sessions are counted.
    pub(super) fn counts_sessions(&self) -> bool {
        self.sessions.most.is_some()
    }

    /// Whether a client may have one more session.
    pub(super) fn may_open_session(&self, address: IpAddr) -> bool {
        self.sessions.has_room(Client::of(address))
    }

    /// The session in this slot is of this client.
    pub(super) fn enter_session(&mut self, address: IpAddr, slot: u32) {
        let client = Client::of(address);
        put(&mut self.owners, slot as usize, client);
        self.sessions.add(client);
    }

    /// The session in this slot is gone, if it counted.
    pub(super) fn leave_session(&mut self, slot: u32) {
        let Some(client) = self.owners.get_mut(slot as usize).and_then(Option::take) else { return };
        self.sessions.remove(client);
        trim(&mut self.owners);
    }
}

impl Counts {
    fn new(most: Option<usize>) -> Self {
        Self { most, by_client: HashMap::new() }
    }

    fn has_room(&self, client: Client) -> bool {
        self.most.is_none_or(|most| self.by_client.get(&client).is_none_or(|count| (*count as usize) < most))
    }

    fn add(&mut self, client: Client) {
        if self.most.is_some() {
            *self.by_client.entry(client).or_default() += 1;
        }
    }

    fn remove(&mut self, client: Client) {
        let Some(count) = self.by_client.get_mut(&client) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.by_client.remove(&client);
        let (here, room) = (self.by_client.len(), self.by_client.capacity());
        if room > KEPT && here < room / 8 {
            self.by_client.shrink_to(KEPT.max(2 * here));
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

    fn limited(connections_per_client: Option<usize>, sessions_per_client: Option<usize>) -> Clients {
        let options =
            ServerOptions { connections_per_client, sessions_per_client, ..ServerOptions::default() };
        Clients::new(&options)
    }

    #[test]
    fn a_client_has_so_many_and_no_more() {
        let mut clients = limited(Some(2), None);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"] {
            let address = ip(address);
            assert!(clients.enter(address) && clients.enter(address));
            assert!(!clients.enter(address));
            clients.leave(address);
            assert!(clients.enter(address), "one has left");
            assert!(!clients.enter(address), "but no more than one");
        }
        assert!(!clients.enter(ip("2001:db8::ffff:0:0:2")), "of the same network");
        assert_eq!(clients.connections.by_client.len(), 4);
    }

    #[test]
    fn nothing_is_kept_of_clients_that_have_left() {
        let mut clients = limited(Some(1), None);
        let addresses = || (0..100_000).map(|number: u32| IpAddr::V4(number.into()));
        assert!(addresses().all(|address| clients.enter(address)));
        assert!(addresses().all(|address| !clients.enter(address)));
        addresses().for_each(|address| clients.leave(address));
        assert_eq!(clients.connections.by_client.len(), 0);
        assert!(
            clients.connections.by_client.capacity() <= 2 * KEPT,
            "{}",
            clients.connections.by_client.capacity()
        );
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut clients = limited(None, None);
        assert!((0..1000).all(|_| clients.enter(ip("192.0.2.1"))));
        clients.leave(ip("192.0.2.1"));
        assert_eq!(clients.connections.by_client.capacity(), 0);
    }

    /// Shrinking costs time: it is worth that where most of the table is empty.
    #[test]
    fn the_table_keeps_its_room_until_an_eighth_of_it_is_left() {
        let address = |number: usize| IpAddr::V4((number as u32).into());
        let mut clients = limited(Some(1), None);
        let count = 16 * KEPT;
        assert!((0..count).all(|number| clients.enter(address(number))));
        let room = clients.connections.by_client.capacity();
        (room / 4..count).for_each(|number| clients.leave(address(number)));
        // Entries that were removed may count as taken.
        assert!(clients.connections.by_client.capacity() > room / 4 * 3);
        (0..room / 4).for_each(|number| clients.leave(address(number)));
        assert!(clients.connections.by_client.capacity() <= 4 * KEPT);
    }

    #[test]
    fn sessions_count_for_the_client_that_opened_them() {
        let mut clients = limited(None, Some(2));
        let (one, other) = (ip("192.0.2.1"), ip("2001:db8::1"));
        for slot in [0, 5] {
            assert!(clients.may_open_session(one));
            clients.enter_session(one, slot);
        }
        assert!(!clients.may_open_session(one));
        assert!(clients.may_open_session(other));
        clients.enter_session(other, 3);
        // A slot of a session that does not count.
        clients.leave_session(4);
        assert!(!clients.may_open_session(one));
        clients.leave_session(5);
        clients.leave_session(5);
        assert!(clients.may_open_session(one));
        assert_eq!(clients.owners.len(), 4, "up to the last session that counts");
        clients.leave_session(0);
        clients.leave_session(3);
        assert_eq!((clients.owners.len(), clients.sessions.by_client.len()), (0, 0));
        assert!(clients.enter(one), "connections have a limit of their own");
    }

    #[test]
    fn nothing_is_kept_of_sessions_that_are_gone() {
        let mut clients = limited(None, Some(1));
        for slot in 0..100_000 {
            clients.enter_session(IpAddr::V4(slot.into()), slot);
        }
        (0..100_000).for_each(|slot| clients.leave_session(slot));
        let kept = (clients.owners.capacity(), clients.sessions.by_client.capacity());
        assert!(kept.0 <= 2 * KEPT && kept.1 <= 2 * KEPT, "{kept:?}");
    }
}
