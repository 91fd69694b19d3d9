//! The program's handlers as the engine sees them: the one door through which they are called, and where their panics
//! stop.

use std::any::Any;

use crate::collections::{Key, Slab, Values};
use crate::containment::{contain, discard};
use crate::engine::{
    self, Application, Cause, Close, EndpointNumber, Engine, Event, Message, Refusal, Reply, Request,
    Response, SessionId,
};
use crate::handler::{Context, Endpoint, EndpointId, Handler, Session};

/// Answers requests outside of every endpoint.
pub(crate) type Fallback = Box<dyn FnMut(&mut Context<'_>, &Request<'_>, &[u8]) -> Reply + Send>;

/// Hears what happens.
pub(crate) type Observer = Box<dyn FnMut(&Event<'_>) + Send>;

/// All handlers, by the number of their endpoint.
#[derive(Default)]
pub(crate) struct Mounts {
    mounts: Vec<Box<dyn Mount>>,
    fallback: Option<Fallback>,
    observer: Option<Observer>,
}

impl Mounts {
    pub(crate) fn push<S, H>(&mut self, handler: H)
    where
        S: Send + 'static,
        H: Handler<S>,
    {
        self.mounts.push(Box::new(Mounted { handler, admitted: None, states: Slab::new() }));
    }

    /// Each handler with its sessions' states.
    pub(crate) fn all(&mut self) -> &mut [Box<dyn Mount>] {
        &mut self.mounts
    }

    /// Sets the fallback, in place of the one before.
    pub(crate) fn set_fallback<F, R>(&mut self, mut answer: F)
    where
        F: FnMut(&mut Context<'_>, &Request<'_>, &[u8]) -> R + Send + 'static,
        R: Into<Reply>,
    {
        let fallback: Fallback =
            Box::new(move |context, request, body| answer(context, request, body).into());
        let before = self.fallback.replace(fallback);
        self.discard(before);
    }

    /// Sets the observer, in place of the one before.
    pub(crate) fn set_observer(&mut self, observer: Observer) {
        let before = self.observer.replace(observer);
        self.discard(before);
    }

    /// Drops what is the program's.
    fn discard<T>(&mut self, value: T) {
        if !discard(value) {
            self.observe(&Event::Panicked { session: None });
        }
    }

    /// Calls a handler for one of its sessions. If it panics the session is closed, and all else goes on.
    fn call(
        &mut self,
        engine: &mut Engine,
        key: Key<engine::Session>,
        call: impl FnOnce(&mut dyn Mount, &mut Engine, EndpointNumber),
    ) {
        let Some(number) = engine.endpoint_of(key) else { return };
        let Some(mount) = self.mounts.get_mut(number.place()) else { return };
        if contain(|| call(mount.as_mut(), engine, number)).is_none() {
            let reason = "Internal error".to_owned();
            engine.close_session(key, Close { code: 3000, reason, cause: Cause::Panic, skipped: 0 });
            self.observe(&Event::Panicked { session: Some(SessionId(key)) });
        }
    }

    /// Tells the observer of messages that were skipped, if there are any.
    fn observe_gap(&mut self, engine: &Engine, key: Key<engine::Session>, messages: u64) {
        if messages > 0 {
            let endpoint = prefix_of(engine, key);
            self.observe(&Event::Skipped { session: SessionId(key), endpoint, messages });
        }
    }

    /// Calls a handler for its endpoint: there is no session that a panic could cost.
    fn call_endpoint(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        call: impl FnOnce(&mut dyn Mount, &mut Engine),
    ) {
        let Some(mount) = self.mounts.get_mut(number.place()) else { return };
        if contain(|| call(mount.as_mut(), engine)).is_none() {
            self.observe(&Event::Panicked { session: None });
        }
    }
}

impl Drop for Mounts {
    /// Each on its own: where two drops panic in one unwinding, the process ends.
    fn drop(&mut self) {
        for mut mount in std::mem::take(&mut self.mounts) {
            while let Some(is_sound) = mount.drop_state() {
                if !is_sound {
                    self.observe(&Event::Panicked { session: None });
                }
            }
            self.discard(mount);
        }
        let fallback = self.fallback.take();
        self.discard(fallback);
        // There is no observer left that could be told.
        discard(self.observer.take());
    }
}

impl Application for Mounts {
    fn admit(&mut self, number: EndpointNumber, request: &Request<'_>) -> Result<(), Refusal> {
        let Some(mount) = self.mounts.get_mut(number.place()) else { return Err(Refusal::status(404)) };
        contain(|| mount.admit(request)).unwrap_or_else(|| {
            self.observe(&Event::Panicked { session: None });
            Err(Refusal::status(500))
        })
    }

    fn opened(&mut self, engine: &mut Engine, key: Key<engine::Session>, request: &Request<'_>) {
        if self.observer.is_some() {
            let endpoint = prefix_of(engine, key);
            self.observe(&Event::Opened { session: SessionId(key), endpoint, request });
        }
        self.call(engine, key, |mount, engine, number| {
            mount.open(engine, number, key);
            mount.on_open(engine, number, key, request);
        });
    }

    fn message(&mut self, engine: &mut Engine, key: Key<engine::Session>, message: Message<'_>) {
        self.call(engine, key, |mount, engine, number| mount.on_message(engine, number, key, message));
    }

    fn closed(&mut self, engine: &mut Engine, key: Key<engine::Session>, close: &Close) {
        self.observe_gap(engine, key, close.skipped);
        if self.observer.is_some() {
            let endpoint = prefix_of(engine, key);
            self.observe(&Event::Closed { session: SessionId(key), endpoint, close });
        }
        self.call(engine, key, |mount, engine, number| mount.on_close(engine, number, key, close));
        self.call(engine, key, |mount, engine, _| mount.forget(engine, key));
    }

    fn drained(&mut self, engine: &mut Engine, key: Key<engine::Session>, skipped: u64) {
        self.observe_gap(engine, key, skipped);
        self.call(engine, key, |mount, engine, number| mount.on_drain(engine, number, key, skipped));
    }

    fn group_started(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        self.call_endpoint(engine, number, |mount, engine| mount.on_group_start(engine, number, name));
    }

    fn group_ended(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        self.call_endpoint(engine, number, |mount, engine| mount.on_group_end(engine, number, name));
    }

    fn session_timer(&mut self, engine: &mut Engine, key: Key<engine::Session>, timer: u32) {
        self.call(engine, key, |mount, engine, number| mount.on_timer(engine, number, key, timer));
    }

    fn endpoint_timer(&mut self, engine: &mut Engine, number: EndpointNumber, timer: u32) {
        self.call_endpoint(engine, number, |mount, engine| mount.on_endpoint_timer(engine, number, timer));
    }

    fn observe(&mut self, event: &Event<'_>) {
        if let Some(observer) = &mut self.observer {
            // A broken log is no reason to stop, and no other observer could be told.
            let _ = contain(|| observer(event));
        }
    }

    fn respond(&mut self, engine: &mut Engine, request: &Request<'_>, body: &[u8]) -> Reply {
        let Some(fallback) = &mut self.fallback else {
            return Response::new(404)
                .header("Content-Type", "text/plain; charset=UTF-8")
                .body("Not Found\n")
                .into();
        };
        let context = &mut Context::new(engine, &mut self.mounts);
        contain(|| fallback(context, request, body)).unwrap_or_else(|| {
            self.observe(&Event::Panicked { session: None });
            Response::new(500).into()
        })
    }
}

/// The prefix of a session's endpoint.
fn prefix_of(engine: &Engine, key: Key<engine::Session>) -> &str {
    engine.endpoint_of(key).map_or("", |number| engine.prefix(number))
}

/// One endpoint, if its sessions have this state.
pub(crate) fn endpoint<'a, S: 'static>(
    mounts: &'a mut [Box<dyn Mount>],
    engine: &'a mut Engine,
    id: EndpointId<S>,
) -> Endpoint<'a, S> {
    let mount = mounts.get_mut(id.number.place());
    let states = mount.and_then(|mount| mount.parts().1.downcast_mut::<Slab<S>>());
    // An id of another server may find sessions here that have another state.
    Endpoint::new(engine, id.number, states.map_or_else(Values::none, Slab::values))
}

/// A handler, if it is of this type.
pub(crate) fn handler<H: 'static, S>(mounts: &mut [Box<dyn Mount>], id: EndpointId<S>) -> Option<&mut H> {
    mounts.get_mut(id.number.place())?.parts().0.downcast_mut()
}

/// The same, and its endpoint.
pub(crate) fn handler_and_endpoint<'a, H: 'static, S: 'static>(
    mounts: &'a mut [Box<dyn Mount>],
    engine: &'a mut Engine,
    id: EndpointId<S>,
) -> Option<(&'a mut H, Endpoint<'a, S>)> {
    let (handler, states) = mounts.get_mut(id.number.place())?.parts();
    let states = states.downcast_mut::<Slab<S>>()?;
    Some((handler.downcast_mut()?, Endpoint::new(engine, id.number, states.values())))
}

/// A handler whose type, and whose sessions' state, are its own affair.
pub(crate) trait Mount: Send {
    /// The handler, and the `Slab` of its sessions' states.
    fn parts(&mut self) -> (&mut dyn Any, &mut dyn Any);
    /// Keeps the state of a session that may open, for `open`.
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal>;
    fn open(&mut self, engine: &mut Engine, number: EndpointNumber, key: Key<engine::Session>);
    fn on_open(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        request: &Request<'_>,
    );
    fn on_message(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        message: Message<'_>,
    );
    fn on_close(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        close: &Close,
    );
    fn forget(&mut self, engine: &mut Engine, key: Key<engine::Session>);
    fn on_drain(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        skipped: u64,
    );
    fn on_timer(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        timer: u32,
    );
    fn on_endpoint_timer(&mut self, engine: &mut Engine, number: EndpointNumber, timer: u32);
    fn on_group_start(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str);
    fn on_group_end(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str);
    /// Drops the state of one session at the server's end. `false`: that panicked. `None`: none is left.
    fn drop_state(&mut self) -> Option<bool>;
}

struct Mounted<S, H> {
    handler: H,
    /// The state of the session that opens next.
    admitted: Option<S>,
    /// What the program keeps with each session; the session knows the slot.
    states: Slab<S>,
}

impl<S, H> Mounted<S, H>
where
    S: Send + 'static,
    H: Handler<S>,
{
    /// Calls the handler with a session and its state.
    fn with(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        call: impl FnOnce(&mut H, &mut Session<'_, S>),
    ) {
        let Some(slot) = engine.state_slot(key) else { return };
        let Some((state, others)) = self.states.split_at_mut(slot) else { return };
        let endpoint = Endpoint::new(engine, number, others);
        call(&mut self.handler, &mut Session::new(endpoint, key, slot, state));
    }

    /// Calls the handler with its endpoint.
    fn with_endpoint(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        call: impl FnOnce(&mut H, &mut Endpoint<'_, S>),
    ) {
        call(&mut self.handler, &mut Endpoint::new(engine, number, self.states.values()));
    }
}

impl<S, H> Mount for Mounted<S, H>
where
    S: Send + 'static,
    H: Handler<S>,
{
    fn parts(&mut self) -> (&mut dyn Any, &mut dyn Any) {
        (&mut self.handler, &mut self.states)
    }

    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        self.admitted = Some(self.handler.admit(request)?);
        Ok(())
    }

    fn open(&mut self, engine: &mut Engine, _: EndpointNumber, key: Key<engine::Session>) {
        let Some(state) = self.admitted.take() else { return };
        engine.set_state_slot(key, self.states.insert(state).index());
    }

    fn on_open(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        request: &Request<'_>,
    ) {
        self.with(engine, number, key, |handler, session| handler.on_open(session, request));
    }

    fn on_message(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        message: Message<'_>,
    ) {
        self.with(engine, number, key, |handler, session| match message {
            Message::Text(text) => handler.on_message(session, text),
            Message::Binary(bytes) => handler.on_binary(session, bytes),
        });
    }

    fn on_close(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        close: &Close,
    ) {
        self.with(engine, number, key, |handler, session| handler.on_close(session, close));
    }

    fn forget(&mut self, engine: &mut Engine, key: Key<engine::Session>) {
        if let Some(slot) = engine.state_slot(key).and_then(|slot| self.states.key_at(slot)) {
            // The session may stay for late receivers, while another state comes into the slot.
            engine.set_state_slot(key, u32::MAX);
            self.states.remove(slot);
        }
    }

    fn on_drain(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        skipped: u64,
    ) {
        self.with(engine, number, key, |handler, session| handler.on_drain(session, skipped));
    }

    fn on_timer(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        key: Key<engine::Session>,
        timer: u32,
    ) {
        self.with(engine, number, key, |handler, session| handler.on_timer(session, timer));
    }

    fn on_endpoint_timer(&mut self, engine: &mut Engine, number: EndpointNumber, timer: u32) {
        self.with_endpoint(engine, number, |handler, endpoint| handler.on_endpoint_timer(endpoint, timer));
    }

    fn on_group_start(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        self.with_endpoint(engine, number, |handler, endpoint| handler.on_group_start(endpoint, name));
    }

    fn on_group_end(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        self.with_endpoint(engine, number, |handler, endpoint| handler.on_group_end(endpoint, name));
    }

    fn drop_state(&mut self) -> Option<bool> {
        let (key, _) = self.states.iter().next()?;
        Some(discard(self.states.remove(key)))
    }
}
