//! Sessions join groups and leave them. Nothing here calls the application: that a group got its first member, or lost
//! its last one, is noted, and told from `dispatch`.

use std::sync::Arc;

use super::Engine;
use super::endpoint::EndpointNumber;
use super::groups::JoinError;
use super::queues::Notice;
use super::session::Session;
use crate::collections::Key;

impl Engine {
    /// Makes an open session a member of a group of its endpoint. Joining twice is joining once.
    pub fn join(&mut self, key: Key<Session>, name: &str) -> Result<(), JoinError> {
        let number = self.open_member(key).ok_or(JoinError::Gone)?;
        let endpoint = self.endpoints.of_mut(number).ok_or(JoinError::Gone)?;
        let notices = &mut self.queues.notices;
        let due = |group| notices.push_back(Notice::Group(number, group));
        endpoint.groups.add_membership(key.index(), name, &endpoint.options, due)
    }

    /// Ends a session's membership. `false`: it was no member.
    pub fn leave(&mut self, key: Key<Session>, name: &str) -> bool {
        let Some(number) = self.open_member(key) else { return false };
        let Some(endpoint) = self.endpoints.of_mut(number) else { return false };
        let notices = &mut self.queues.notices;
        endpoint
            .groups
            .end_membership(key.index(), name, |group| notices.push_back(Notice::Group(number, group)))
    }

    /// The endpoint of a session that is open.
    fn open_member(&self, key: Key<Session>) -> Option<EndpointNumber> {
        self.sessions.get(key).filter(|session| session.is_open()).map(|session| session.endpoint)
    }

    /// Whether a session is a member of a group.
    pub fn is_member(&self, key: Key<Session>, name: &str) -> bool {
        let endpoint = self.open_member(key).and_then(|number| self.endpoints.of(number));
        endpoint.is_some_and(|endpoint| endpoint.groups.has_membership(key.index(), name))
    }

    /// The members of a group, the one that joined first in front.
    pub fn members(&self, number: EndpointNumber, name: &str) -> impl Iterator<Item = Key<Session>> {
        let endpoint = self.endpoints.of(number);
        let slots = endpoint.into_iter().flat_map(move |endpoint| endpoint.groups.members_of(name));
        slots.filter_map(|slot| self.sessions.key_at(slot))
    }

    /// How many members a group has.
    pub fn member_count(&self, number: EndpointNumber, name: &str) -> usize {
        self.endpoints.of(number).map_or(0, |endpoint| endpoint.groups.count_members(name))
    }

    /// The groups of an endpoint that have members.
    pub fn group_names(&self, number: EndpointNumber) -> impl Iterator<Item = &Arc<str>> {
        self.endpoints.of(number).into_iter().flat_map(|endpoint| endpoint.groups.all_names())
    }

    /// The groups of a session, in the order in which it joined them. While its close is told: those that it was in.
    pub fn groups_of(&self, key: Key<Session>) -> impl Iterator<Item = &Arc<str>> {
        let endpoint = self.endpoint_of(key).and_then(|number| self.endpoints.of(number));
        endpoint.into_iter().flat_map(move |endpoint| endpoint.groups.names_of(key.index()))
    }

    /// For tests: whether nothing is left of any group.
    pub fn has_no_groups(&self) -> bool {
        self.endpoints.each().all(|endpoint| endpoint.groups.is_empty())
    }
}
