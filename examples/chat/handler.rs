//! What the chat does: everybody hears who joins, who says what, and who leaves.

use sockjs_server::{Close, Handler, Refusal, Request, Session};

/// The handler's own state, shared by all who chat.
#[derive(Default)]
pub struct Chat {
    guests: usize,
}

/// What is kept with each session: typed, and dropped with it.
pub struct Guest {
    name: String,
}

impl Handler<Guest> for Chat {
    fn admit(&mut self, _: &Request<'_>) -> Result<Guest, Refusal> {
        self.guests += 1;
        Ok(Guest { name: format!("guest {}", self.guests) })
    }

    fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
        session.broadcast_others(&format!("{} joined", session.state().name));
        let present = session.endpoint().session_count();
        // A session that has just opened has room.
        let _ = session.send(format!("you are {}, {present} here", session.state().name));
    }

    fn on_message(&mut self, session: &mut Session<'_, Guest>, text: &str) {
        session.broadcast(&format!("{}: {text}", session.state().name));
    }

    fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
        // A session that has closed is not among those that hear it.
        session.broadcast(&format!("{} left", session.state().name));
    }
}
