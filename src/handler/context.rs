//! The server, in the hands of a fallback or of a task.

use super::{Endpoint, EndpointId, Handler};
use crate::engine::{AnswerError, Counters, Engine, Response, Ticket};
use crate::mounts::{self, Mount};

/// The server, in the hands of a fallback, or of a task that [`Handle::run`](crate::Handle::run) brought to it.
pub struct Context<'a> {
    engine: &'a mut Engine,
    mounts: &'a mut [Box<dyn Mount>],
}

impl<'a> Context<'a> {
    pub(crate) fn new(engine: &'a mut Engine, mounts: &'a mut [Box<dyn Mount>]) -> Self {
        Self { engine, mounts }
    }

    /// One of its endpoints.
    pub fn endpoint<S: 'static>(&mut self, endpoint: EndpointId<S>) -> Endpoint<'_, S> {
        mounts::endpoint(self.mounts, self.engine, endpoint)
    }

    /// The handler of an endpoint; `None` if it is of another type.
    ///
    /// ```
    /// # use sockjs_server::{EndpointId, Handle, Handler, Session};
    /// struct Chat {
    ///     motto: String,
    /// }
    ///
    /// impl Handler for Chat {
    ///     fn on_message(&mut self, session: &mut Session<'_>, _: &str) {
    ///         let _ = session.send(&self.motto);
    ///     }
    /// }
    ///
    /// /// From any thread.
    /// fn set_motto(handle: &Handle, chat: EndpointId, motto: String) {
    ///     handle.run(move |context| {
    ///         if let Some(handler) = context.handler::<Chat>(chat) {
    ///             handler.motto = motto;
    ///         }
    ///     });
    /// }
    /// ```
    pub fn handler<H: 'static>(&mut self, endpoint: EndpointId<impl Sized>) -> Option<&mut H> {
        mounts::handler(self.mounts, endpoint)
    }

    /// The handler of an endpoint, and the endpoint, at once; `None` if the handler is of another type.
    pub fn handler_and_endpoint<H, S>(&mut self, endpoint: EndpointId<S>) -> Option<(&mut H, Endpoint<'_, S>)>
    where
        H: Handler<S>,
        S: 'static,
    {
        mounts::handler_and_endpoint(self.mounts, self.engine, endpoint)
    }

    /// Answers a request that waits for it; see [`Reply::later`](crate::Reply::later).
    ///
    /// # Errors
    /// [`AnswerError::Gone`]: the request does not wait, or its client has left.
    pub fn answer(&mut self, ticket: Ticket, response: Response) -> Result<(), AnswerError> {
        self.engine.answer_later(ticket, response)
    }

    /// Whether a request waits for its answer, and its client for that.
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.engine.is_waiting(ticket)
    }

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// Whether new sessions are refused: after [`Server::refuse_sessions`](crate::Server::refuse_sessions), or since
    /// the end has begun. A health check says so to the balancer: see [`Server::drain`](crate::Server::drain).
    pub fn refuses_sessions(&self) -> bool {
        self.engine.refuses_sessions()
    }
}
