//! What a rule is.

use crate::support::target::Target;

/// One rule of the wire contract, in words, and a check that panics where it is broken.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The section of src/protocol.md, with the rule's number where it has one.
    pub section: &'static str,
    pub says: &'static str,
    pub check: Check,
}

/// How a rule is checked.
#[derive(Clone, Copy)]
pub enum Check {
    /// On any server with the test endpoints of section 11.
    Anywhere(fn(&Target)),
    /// On a server of its own in this process: with short delays, other options, or a handler that takes notes.
    InProcess(fn()),
}

/// A rule for every server.
pub const fn rule(section: &'static str, says: &'static str, check: fn(&Target)) -> Rule {
    Rule { section, says, check: Check::Anywhere(check) }
}

/// A rule that needs a server with options of its own, or that holds for this server alone.
pub const fn here(section: &'static str, says: &'static str, check: fn()) -> Rule {
    Rule { section, says, check: Check::InProcess(check) }
}
