//! The groups of one endpoint: which sessions are members of which.
//!
//! In go names and the numbers of sessions; out come members, in the order in which they joined, and the groups of
//! which the handler is to be told. Nothing here knows an engine, sends or calls.
//!
//! A membership stands in two lists and a table: the members of its group, the groups of its session, and the
//! memberships by both. So a session joins, leaves and is found in constant time, in however many groups it is and
//! however many members they have. A membership is 32 bytes in its slab and its place in a table; a session that
//! is in no group has nothing here.
//!
//! A session that closes is no member any more at once; its list of groups stays until its close was told, so that the
//! handler can ask for it then.
//!
//! The handler is told when a group gets its first member and when it loses its last one, each a notice that waits in a
//! queue. A group has one notice in it at most: a group that began and ended meanwhile, or ended and began, is as the
//! handler knows it, and nothing is told.

use std::fmt;
use std::sync::Arc;

use super::options::EndpointOptions;
use crate::collections::{Hashed, Key, Link, Linked, List, Slab, Table};

/// The groups of an endpoint, and their members.
#[derive(Default)]
pub(super) struct Groups {
    groups: Slab<Group>,
    by_name: Table,
    members: Slab<Member>,
    by_session: Table,
    memberships: Slab<Membership>,
    by_pair: Table,
}

/// A group that has members, or of whose end the handler is yet to be told.
pub(super) struct Group {
    name: Arc<str>,
    members: List<OfGroup>,
    /// Memberships of closed sessions, whose close is yet to be told: they name this group.
    kept: u32,
    /// What the handler was told last.
    told: Told,
    /// A notice of it waits in the queue.
    is_queued: bool,
    chain: u32,
}

/// What a handler knows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It has no members.
    Ended,
    /// It has members.
    Started,
}

/// A session that is in groups.
struct Member {
    /// The number of the session's slot, which is not used again while the session is here.
    session: [u8; 4],
    groups: List<OfSession>,
    chain: u32,
}

/// A session in a group.
pub(super) struct Membership {
    /// The numbers of the session's slot and of the group's.
    pair: [u8; 8],
    of_group: Link,
    of_session: Link,
    chain: u32,
}

/// The members of a group, in the order in which they joined.
struct OfGroup;

/// The groups of a session, in the order in which it joined them.
struct OfSession;

/// Why a session did not join a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no such session, or it is closed.
    Gone,
    /// The name is longer than [`EndpointOptions::group_name_length`].
    NameTooLong,
    /// The session is in [`EndpointOptions::groups_per_session`] groups already.
    TooManyOfSession,
    /// The endpoint has [`EndpointOptions::groups`] groups already, and this would be one more.
    TooManyGroups,
}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            JoinError::Gone => "the session is closed",
            JoinError::NameTooLong => "the group's name is longer than the option `group_name_length`",
            JoinError::TooManyOfSession => {
                "the session is in as many groups as the option `groups_per_session`"
            }
            JoinError::TooManyGroups => "the endpoint has as many groups as the option `groups`",
        })
    }
}

impl std::error::Error for JoinError {}

impl Groups {
    /// Makes a session a member of a group, if it is not yet. `due` is called with a group of which a notice is to be
    /// queued.
    pub(super) fn add_membership(
        &mut self,
        session: u32,
        name: &str,
        limits: &EndpointOptions,
        due: impl FnOnce(Key<Group>),
    ) -> Result<(), JoinError> {
        let known = self.find_group(name);
        if known.is_some_and(|group| self.find_membership(session, group).is_some()) {
            return Ok(());
        }
        let member = self.find_member(session).map(|(key, member)| (key, member.groups.len()));
        if name.len() > limits.group_name_length {
            return Err(JoinError::NameTooLong);
        }
        if member.map_or(0, |(_, count)| count) >= limits.groups_per_session {
            return Err(JoinError::TooManyOfSession);
        }
        if known.is_none() && self.groups.len() >= limits.groups {
            return Err(JoinError::TooManyGroups);
        }
        let member = match member {
            Some((key, _)) => key,
            None => self.insert_member(session),
        };
        let group = match known {
            Some(key) => key,
            None => self.insert_group(name),
        };
        let membership = self.memberships.insert(Membership {
            pair: pair(session, group.index()),
            of_group: Link::default(),
            of_session: Link::default(),
            chain: 0,
        });
        self.by_pair.insert(&mut self.memberships, membership);
        if let Some(member) = self.members.get_mut(member) {
            member.groups.push_back(&mut self.memberships, membership);
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.members.push_back(&mut self.memberships, membership);
        }
        if self.needs_notice(group) {
            due(group);
        }
        Ok(())
    }

    /// Ends a membership. `false`: the session was no member.
    pub(super) fn end_membership(&mut self, session: u32, name: &str, due: impl FnOnce(Key<Group>)) -> bool {
        let Some(group) = self.find_group(name) else { return false };
        let Some(membership) = self.find_membership(session, group) else { return false };
        let Some((key, _)) = self.find_member(session) else { return false };
        if let Some(group) = self.groups.get_mut(group) {
            group.members.remove(&mut self.memberships, membership);
        }
        if let Some(member) = self.members.get_mut(key) {
            member.groups.remove(&mut self.memberships, membership);
            if member.groups.is_empty() {
                self.remove_member(key);
            }
        }
        self.remove_membership(membership);
        // One that has no members now goes when its notice was taken: one is in the queue, or is due.
        if self.needs_notice(group) {
            due(group);
        }
        true
    }

    /// A session has closed: it is no member any more. Says of how many groups it was one.
    pub(super) fn close_member(&mut self, session: u32, mut due: impl FnMut(Key<Group>)) -> usize {
        let Some((key, member)) = self.find_member(session) else { return 0 };
        let count = member.groups.len();
        let mut next = member.groups.first(&self.memberships);
        while let Some(membership) = next {
            next = self.members.get(key).and_then(|it| it.groups.next(&self.memberships, membership));
            let Some(group) = self.group_of(membership) else { continue };
            if let Some(group) = self.groups.get_mut(group)
                && group.members.remove(&mut self.memberships, membership)
            {
                group.kept += 1;
            }
            if self.needs_notice(group) {
                due(group);
            }
        }
        count
    }

    /// The close of a session was told: its list of groups goes. Says how many there were.
    pub(super) fn forget_member(&mut self, session: u32) -> usize {
        let Some((key, member)) = self.find_member(session) else { return 0 };
        let count = member.groups.len();
        while let Some(member) = self.members.get_mut(key)
            && let Some(membership) = member.groups.pop_front(&mut self.memberships)
        {
            let group = self.group_of(membership);
            self.remove_membership(membership);
            if let Some(key) = group {
                if let Some(group) = self.groups.get_mut(key) {
                    group.kept = group.kept.saturating_sub(1);
                }
                self.remove_if_unused(key);
            }
        }
        self.remove_member(key);
        count
    }

    /// The notice of a group has its turn: its name, and the change that the handler is to be told; `None`: the handler
    /// knows the group as it is.
    pub(super) fn take_notice(&mut self, key: Key<Group>) -> Option<(Arc<str>, Told)> {
        let group = self.groups.get_mut(key)?;
        group.is_queued = false;
        let notice = (group.told != group.state()).then(|| {
            group.told = group.state();
            (Arc::clone(&group.name), group.told)
        });
        self.remove_if_unused(key);
        notice
    }
}

impl Groups {
    /// The group of this name.
    pub(super) fn find_group(&self, name: &str) -> Option<Key<Group>> {
        self.by_name.find(&self.groups, name.as_bytes())
    }

    /// How many members a group has.
    pub(super) fn count_members(&self, name: &str) -> usize {
        let group = self.find_group(name).and_then(|key| self.groups.get(key));
        group.map_or(0, |group| group.members.len())
    }

    /// The membership that has lasted longest in a group.
    pub(super) fn first_in(&self, group: Key<Group>) -> Option<Key<Membership>> {
        self.groups.get(group)?.members.first(&self.memberships)
    }

    /// The membership in the same group that began next.
    pub(super) fn next_in(&self, membership: Key<Membership>) -> Option<Key<Membership>> {
        let group = self.groups.at(self.memberships.get(membership)?.group())?;
        group.members.next(&self.memberships, membership)
    }

    /// The slot of the session that is a member.
    pub(super) fn session_of(&self, membership: Key<Membership>) -> Option<u32> {
        self.memberships.get(membership).map(Membership::session)
    }

    /// The slots of a group's members, the one that joined first in front.
    pub(super) fn members_of(&self, name: &str) -> impl Iterator<Item = u32> {
        let first = self.find_group(name).and_then(|group| self.first_in(group));
        std::iter::successors(first, |membership| self.next_in(*membership))
            .filter_map(|membership| self.session_of(membership))
    }

    /// The names of a session's groups, in the order in which it joined them.
    pub(super) fn names_of(&self, session: u32) -> impl Iterator<Item = &Arc<str>> {
        let groups = self.find_member(session).map(|(_, member)| &member.groups);
        let first = groups.and_then(|groups| groups.first(&self.memberships));
        std::iter::successors(first, move |membership| groups?.next(&self.memberships, *membership))
            .filter_map(|membership| Some(&self.groups.get(self.group_of(membership)?)?.name))
    }

    /// Whether a session has a membership. (One that is closed has those that it had.)
    pub(super) fn has_membership(&self, session: u32, name: &str) -> bool {
        self.find_group(name).is_some_and(|group| self.find_membership(session, group).is_some())
    }

    /// The names of all groups that have members.
    pub(super) fn all_names(&self) -> impl Iterator<Item = &Arc<str>> {
        let groups = self.groups.iter().map(|(_, group)| group);
        groups.filter(|group| !group.members.is_empty()).map(|group| &group.name)
    }

    /// For tests: whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.members.is_empty() && self.memberships.is_empty()
    }

    /// For tests: whether all lists and tables agree, and members are the sessions that `is_open` says.
    pub(super) fn audit_groups(&self, is_open: impl Fn(u32) -> bool) -> Result<(), String> {
        let mut memberships = 0;
        for (_, group) in self.groups.iter() {
            let members: Vec<_> = self.members_of(&group.name).collect();
            let are_open = members.iter().all(|session| is_open(*session));
            let is_needed = !members.is_empty() || group.kept > 0 || group.is_queued;
            let is_known = group.is_queued || group.told == group.state();
            if members.len() != group.members.len() || !are_open || !is_needed || !is_known {
                return Err(format!("group {:?} has the members {members:?}", group.name));
            }
            memberships += members.len() + group.kept as usize;
        }
        let of_sessions = self.members.iter().map(|(_, member)| member.groups.len()).sum();
        let counts = [self.memberships.len(), self.by_pair.len(), of_sessions];
        let tables = (self.by_name.len(), self.by_session.len());
        if counts != [memberships; 3] || tables != (self.groups.len(), self.members.len()) {
            return Err(format!("{memberships} memberships in groups, and {counts:?}; tables {tables:?}"));
        }
        Ok(())
    }
}

impl Groups {
    fn find_member(&self, session: u32) -> Option<(Key<Member>, &Member)> {
        let key = self.by_session.find(&self.members, &session.to_ne_bytes())?;
        Some((key, self.members.get(key)?))
    }

    fn find_membership(&self, session: u32, group: Key<Group>) -> Option<Key<Membership>> {
        self.by_pair.find(&self.memberships, &pair(session, group.index()))
    }

    fn group_of(&self, membership: Key<Membership>) -> Option<Key<Group>> {
        self.groups.key_at(self.memberships.get(membership)?.group())
    }

    fn insert_group(&mut self, name: &str) -> Key<Group> {
        let key = self.groups.insert(Group {
            name: name.into(),
            members: List::new(),
            kept: 0,
            told: Told::Ended,
            is_queued: false,
            chain: 0,
        });
        self.by_name.insert(&mut self.groups, key);
        key
    }

    fn insert_member(&mut self, session: u32) -> Key<Member> {
        let key =
            self.members.insert(Member { session: session.to_ne_bytes(), groups: List::new(), chain: 0 });
        self.by_session.insert(&mut self.members, key);
        key
    }

    /// Removes a session that is in no group.
    fn remove_member(&mut self, key: Key<Member>) {
        self.by_session.remove(&mut self.members, key);
        self.members.remove(key);
    }

    /// Removes a membership that has left both of its lists.
    fn remove_membership(&mut self, key: Key<Membership>) {
        self.by_pair.remove(&mut self.memberships, key);
        self.memberships.remove(key);
    }

    /// Whether a notice of a group is to be queued now: the handler does not know how it is, and will not hear it yet.
    fn needs_notice(&mut self, key: Key<Group>) -> bool {
        let Some(group) = self.groups.get_mut(key) else { return false };
        let needs = !group.is_queued && group.told != group.state();
        group.is_queued |= needs;
        needs
    }

    /// Removes a group that has no members, no memberships that are kept, and nothing to be told.
    fn remove_if_unused(&mut self, key: Key<Group>) {
        let is_used = |group: &Group| {
            !group.members.is_empty() || group.kept > 0 || group.is_queued || group.told == Told::Started
        };
        if self.groups.get(key).is_some_and(|group| !is_used(group)) {
            self.by_name.remove(&mut self.groups, key);
            self.groups.remove(key);
        }
    }
}

impl Group {
    fn state(&self) -> Told {
        if self.members.is_empty() { Told::Ended } else { Told::Started }
    }
}

impl Membership {
    fn session(&self) -> u32 {
        let [a, b, c, d, ..] = self.pair;
        u32::from_ne_bytes([a, b, c, d])
    }

    fn group(&self) -> u32 {
        let [.., a, b, c, d] = self.pair;
        u32::from_ne_bytes([a, b, c, d])
    }
}

fn pair(session: u32, group: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (session.to_ne_bytes(), group.to_ne_bytes());
    [a, b, c, d, e, f, g, h]
}

/// The most memory in bytes that the groups of an endpoint take.
pub(super) fn most_memory(options: &EndpointOptions) -> usize {
    let group = size_of::<Group>() + NAME + options.group_name_length + PLACE + NOTICE;
    let member = size_of::<Member>() + PLACE;
    let of_session = member + options.groups_per_session.saturating_mul(size_of::<Membership>() + PLACE);
    let groups = options.groups.saturating_mul(group);
    groups.saturating_add(options.most_sessions().saturating_mul(of_session)).saturating_add(SPARE)
}

/// Bytes of a name beside its text: two counters, and a length that is rounded up.
const NAME: usize = 32;

/// Bytes of an entry beside itself: its slot's generation, its part of a row of slots, and a place in a table whose
/// vector may be twice as large as it must be, and is there twice while it grows.
const PLACE: usize = 32;

/// Bytes of a notice in a queue that may be twice as large as it must be, and is there twice while it grows.
const NOTICE: usize = 128;

/// The smallest rows and vectors of slabs and tables.
const SPARE: usize = 16 << 10;

impl Linked<OfGroup> for Membership {
    fn link(&self) -> &Link {
        &self.of_group
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.of_group
    }
}

impl Linked<OfSession> for Membership {
    fn link(&self) -> &Link {
        &self.of_session
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.of_session
    }
}

impl Hashed for Membership {
    fn hash_key(&self) -> &[u8] {
        &self.pair
    }
    fn chain(&self) -> u32 {
        self.chain
    }
    fn set_chain(&mut self, next: u32) {
        self.chain = next;
    }
}

impl Hashed for Member {
    fn hash_key(&self) -> &[u8] {
        &self.session
    }
    fn chain(&self) -> u32 {
        self.chain
    }
    fn set_chain(&mut self, next: u32) {
        self.chain = next;
    }
}

impl Hashed for Group {
    fn hash_key(&self) -> &[u8] {
        self.name.as_bytes()
    }
    fn chain(&self) -> u32 {
        self.chain
    }
    fn set_chain(&mut self, next: u32) {
        self.chain = next;
    }
}

#[cfg(test)]
mod tests;
