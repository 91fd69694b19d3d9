//! What becomes of a request for a session that the program does not admit.

use crate::http::required_field;

/// Why a request may not open a session, and what its client gets: the error of [`Handler::admit`](crate::Handler::admit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it refuses nothing before `admit` has returned it"]
pub struct Refusal(pub(super) Answer);

/// What the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This status, and its customary words as the body.
    Status(u16),
}

impl Refusal {
    /// The request is answered with this status, `400..=599`, and its customary words as the body. Any other status becomes
    /// 403, and so do 401, 405, 407 and 426: they are invalid without a header field that a status alone cannot carry (RFC
    /// 9110 §15.5).
    pub fn status(status: u16) -> Self {
        let is_valid = (400..=599).contains(&status) && required_field(status).is_none();
        Self(Answer::Status(if is_valid { status } else { 403 }))
    }

    /// The status of the answer.
    pub(super) fn code(&self) -> u16 {
        match &self.0 {
            Answer::Status(status) => *status,
        }
    }
}
