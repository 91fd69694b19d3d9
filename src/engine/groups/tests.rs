use std::collections::{BTreeSet, VecDeque};

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// What the table must do, in the plainest way.
#[derive(Default)]
struct Model {
    /// Sessions and the names of their groups, in the order in which they joined.
    memberships: Vec<(u32, String)>,
    /// The same of sessions that are closed, and not forgotten.
    kept: Vec<(u32, String)>,
    /// The names of the groups of which the handler knows that they have members.
    known: BTreeSet<String>,
    queue: VecDeque<Key<Group>>,
}

impl Model {
    fn members(&self, name: &str) -> Vec<u32> {
        self.memberships.iter().filter(|(_, group)| group == name).map(|(session, _)| *session).collect()
    }

    fn names_in(memberships: &[(u32, String)], session: u32) -> Vec<&str> {
        memberships.iter().filter(|(it, _)| *it == session).map(|(_, group)| group.as_str()).collect()
    }

    /// Groups that cannot be forgotten yet.
    fn groups(&self, groups: &Groups) -> usize {
        let mut names: BTreeSet<&str> = self.known.iter().map(String::as_str).collect();
        names.extend(self.memberships.iter().chain(&self.kept).map(|(_, group)| group.as_str()));
        names.extend(self.queue.iter().filter_map(|key| groups.groups.get(*key).map(|group| &*group.name)));
        names.len()
    }
}

fn limits(groups: usize, groups_per_session: usize) -> EndpointOptions {
    EndpointOptions { groups, groups_per_session, group_name_length: 8, ..EndpointOptions::default() }
}

#[test]
fn a_membership_is_small() {
    assert_eq!(size_of::<Option<(std::num::NonZeroU32, Membership)>>(), 32);
    assert!(size_of::<Member>() <= 20 && size_of::<Group>() <= 40, "{}", size_of::<Group>());
}

#[test]
fn behaves_like_a_list_of_pairs() {
    for seed in 1..=60 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let limits = limits(6, 4);
        let (mut groups, mut model) = (Groups::default(), Model::default());
        for _ in 0..2_000 {
            let session = random.below(12) as u32;
            let name = format!("g{}", random.below(9));
            let is_closed = model.kept.iter().any(|(it, _)| *it == session);
            match random.below(10) {
                0..4 if !is_closed => {
                    let is_member = model.members(&name).contains(&session);
                    let of_session = Model::names_in(&model.memberships, session).len();
                    let expected = match () {
                        () if is_member => Ok(()),
                        () if of_session == 4 => Err(JoinError::TooManyOfSession),
                        () if groups.find_group(&name).is_none() && model.groups(&groups) == 6 => {
                            Err(JoinError::TooManyGroups)
                        }
                        () => Ok(()),
                    };
                    let queue = &mut model.queue;
                    assert_eq!(
                        groups.add_membership(session, &name, &limits, |key| queue.push_back(key)),
                        expected
                    );
                    if expected.is_ok() && !is_member {
                        model.memberships.push((session, name));
                    }
                }
                4..6 if !is_closed => {
                    let before = model.memberships.len();
                    model.memberships.retain(|it| *it != (session, name.clone()));
                    let left = groups.end_membership(session, &name, |key| model.queue.push_back(key));
                    assert_eq!(left, model.memberships.len() < before);
                }
                6 if !is_closed => {
                    let (gone, stay) = model.memberships.into_iter().partition(|(it, _)| *it == session);
                    model.memberships = stay;
                    let gone: Vec<_> = gone;
                    assert_eq!(groups.close_member(session, |key| model.queue.push_back(key)), gone.len());
                    model.kept.extend(gone);
                }
                7 if is_closed => {
                    let kept = Model::names_in(&model.kept, session).len();
                    assert_eq!(groups.forget_member(session), kept);
                    model.kept.retain(|(it, _)| *it != session);
                }
                8 => {
                    let Some(key) = model.queue.pop_front() else { continue };
                    let name = groups.groups.get(key).expect("one that is queued is there").name.to_string();
                    let expected = match (!model.members(&name).is_empty(), model.known.contains(&name)) {
                        (true, false) => Some(Told::Started),
                        (false, true) => Some(Told::Ended),
                        _ => None,
                    };
                    match expected {
                        Some(Told::Started) => _ = model.known.insert(name.clone()),
                        Some(Told::Ended) => _ = model.known.remove(&name),
                        None => {}
                    }
                    assert_eq!(groups.take_notice(key), expected.map(|told| (name.as_str().into(), told)));
                }
                _ => {}
            }
            let name = format!("g{}", random.below(9));
            assert!(groups.members_of(&name).eq(model.members(&name)));
            assert_eq!(groups.count_members(&name), model.members(&name).len());
            let session = random.below(12) as u32;
            let is_closed = model.kept.iter().any(|(it, _)| *it == session);
            let of_session =
                Model::names_in(if is_closed { &model.kept } else { &model.memberships }, session);
            assert!(groups.names_of(session).map(|name| &**name).eq(of_session.iter().copied()));
            assert_eq!(groups.has_membership(session, &name), of_session.contains(&name.as_str()));
            assert_eq!(groups.groups.len(), model.groups(&groups));
            assert_eq!(
                groups.audit_groups(|session| !model.kept.iter().any(|(it, _)| *it == session)),
                Ok(())
            );
        }
        for session in 0..12 {
            groups.close_member(session, |key| model.queue.push_back(key));
            groups.forget_member(session);
        }
        assert_eq!(groups.all_names().count(), 0);
        for key in model.queue {
            groups.take_notice(key);
        }
        assert!(groups.is_empty() && groups.by_name.is_empty() && groups.by_pair.is_empty());
    }
}

#[test]
fn a_name_that_is_too_long_and_a_limit_are_errors() {
    let (mut groups, limits) = (Groups::default(), limits(1, 1));
    assert_eq!(groups.add_membership(0, "123456789", &limits, |_| ()), Err(JoinError::NameTooLong));
    assert_eq!(groups.add_membership(0, "12345678", &limits, |_| ()), Ok(()));
    assert_eq!(groups.add_membership(0, "other", &limits, |_| ()), Err(JoinError::TooManyOfSession));
    assert_eq!(groups.add_membership(1, "other", &limits, |_| ()), Err(JoinError::TooManyGroups));
    assert_eq!(groups.add_membership(1, "12345678", &limits, |_| ()), Ok(()));
    assert!(!groups.end_membership(1, "other", |_| ()));
}

/// A session in a thousand groups, and a group of a hundred thousand members. (Walks along either list in place of
/// look-ups would make this take minutes.)
#[test]
fn a_thousand_groups_and_a_hundred_thousand_members() {
    let (many, most) = (1_000, 100_000);
    let limits = EndpointOptions { groups_per_session: many, ..EndpointOptions::default() };
    let mut groups = Groups::default();
    let names: Vec<_> = (0..many).map(|number| number.to_string()).collect();
    for name in &names {
        groups.add_membership(0, name, &limits, |_| ()).unwrap();
    }
    for session in 1..most {
        groups.add_membership(session, "0", &limits, |_| ()).unwrap();
    }
    assert_eq!((groups.count_members("0"), groups.names_of(0).count()), (100_000, 1_000));
    for name in names.iter().rev().cycle().take(50_000) {
        assert!(groups.has_membership(0, name) && groups.end_membership(0, name, |_| ()));
        groups.add_membership(0, name, &limits, |_| ()).unwrap();
    }
    assert_eq!(groups.close_member(0, |_| ()), 1_000);
    assert_eq!(groups.count_members("0"), 99_999);
    assert_eq!(groups.audit_groups(|session| session != 0), Ok(()));
}

/// The bound is not below what it bounds, nor far above.
#[test]
fn the_bound_of_memory_is_near_what_it_is_for() {
    let most = |groups, sessions, groups_per_session| {
        let options = EndpointOptions { groups, sessions, groups_per_session, ..EndpointOptions::default() };
        most_memory(&options) - most_memory(&EndpointOptions { groups: 0, sessions: 0, ..options })
    };
    let name = EndpointOptions::default().group_name_length;
    let group = size_of::<Group>() + name;
    assert!((group..group + 512).contains(&most(1, 0, 1)));
    let of_session = size_of::<Member>() + size_of::<Membership>();
    assert!((of_session..of_session + 128).contains(&most(0, 1, 1)));
    assert!((size_of::<Membership>()..128).contains(&(most(0, 1, 2) - most(0, 1, 1))));
}
