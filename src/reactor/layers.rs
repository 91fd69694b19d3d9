//! Connections with a layer: between the read and the engine, and between the engine and the write.

use std::io::{self, IoSlice};

use super::layered::{CHUNK, Fault, Goes, Layered, Outcome, Progress, TOO_MUCH};
use super::socket::{Input, Socket, Stream, Weight};
use super::{BUFFER, Extent, Reactor, SHORT_READS, find};
use crate::collections::{Key, put, trim};
use crate::containment::discard;
use crate::engine::{Application, Arrival, Connection, Engine, Event};

/// Reads in one turn of connections that are in their handshake, all together. One costs as
/// much as a hundred messages do.
const HANDSHAKES: usize = 32;

/// Bytes of memory of a layer's place in the vector, as that grows, and of its allocation.
const PLACE: usize = 40;

/// Capacity beyond which a buffer of all layers is given back.
const KEPT: usize = 2 * CHUNK;

/// The layers, and what all of them use, one after the other.
#[derive(Default)]
pub(super) struct Layers {
    /// By the index of the connection's key, beside the sockets: where there are no layers,
    /// connections have no room for them.
    layers: Vec<Option<Box<Layered>>>,
    /// Plain bytes on their way to the engine, or from it, in one piece.
    plain: Vec<u8>,
    /// Wire bytes on their way to a socket.
    wire: Vec<u8>,
    /// Reads of connections in their handshake in this turn.
    handshakes: usize,
    /// What one layer holds at most; `None`: there is none.
    memory: Option<usize>,
}

impl Layers {
    /// Bytes of memory of the buffers at most, as they grow.
    const BUFFERS: usize = 3 * TOO_MUCH + 4 * CHUNK;

    pub(super) fn begin_turn(&mut self) {
        self.handshakes = 0;
    }

    /// Layers of this size are used from now on.
    pub(super) fn expect(&mut self, memory: usize) {
        self.memory = self.memory.max(Some(memory));
    }

    /// Bytes of memory at most where there are so many connections.
    pub(super) fn memory(&self, connections: usize) -> usize {
        self.memory.map_or(0, |memory| {
            let each = memory.saturating_add(size_of::<Layered>() + PLACE);
            connections.saturating_mul(each).saturating_add(Self::BUFFERS)
        })
    }
}

impl Layers {
    pub(super) fn put(&mut self, index: usize, layered: Box<Layered>) {
        put(&mut self.layers, index, layered);
    }

    /// The socket of this connection is about to be closed.
    pub(super) fn part(&mut self, index: usize, socket: &mut Socket, application: &mut dyn Application) {
        let Some(mut layered) = self.layers.get_mut(index).and_then(Option::take) else { return };
        layered.close_without_waiting(write(&mut socket.stream));
        if !layered.discard() {
            application.observe(&Event::Panicked { session: None });
        }
        trim(&mut self.layers);
    }
}

/// The layer of a connection whose socket is there.
fn layer_of(layers: &mut [Option<Box<Layered>>], key: Key<Connection>) -> Option<&mut Layered> {
    layers.get_mut(key.index() as usize)?.as_deref_mut()
}

fn clear(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
    buffer.clear();
}

fn write(stream: &mut Stream) -> impl FnMut(&[u8]) -> io::Result<usize> {
    |bytes| stream.write(&[IoSlice::new(bytes)])
}

impl Reactor {
    /// As [`Reactor::read`], of a connection's wire bytes.
    pub(super) fn read_layered(
        &mut self,
        key: Key<Connection>,
        extent: Extent,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        for reads in 1.. {
            let Some(socket) = find(&mut self.sockets, key) else { return };
            let Some(layered) = layer_of(&mut self.layers.layers, key) else { return };
            if layered.is_in_handshake() && self.layers.handshakes >= HANDSHAKES {
                return self.queue_read_and_pass(key);
            }
            if layered.is_clogged() {
                socket.input = Input::Paused;
                return;
            }
            if !engine.ask_to_read(key) {
                socket.input = Input::Paused;
                if socket.hung_up {
                    engine.receive(key, Arrival::EndBehindUnread, application);
                }
                return;
            }
            socket.input = Input::Drained(Weight::Light);
            let is_asked = !layered.has_more();
            let count = match if is_asked { socket.stream.read(&mut self.buffer) } else { Ok(0) } {
                Ok(0) if is_asked => return engine.receive(key, Arrival::End, application),
                Ok(count) => count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted => continue,
                    _ => return engine.receive(key, Arrival::Failure, application),
                },
            };
            self.layers.handshakes += usize::from(layered.is_in_handshake());
            let is_drained = is_asked && count < BUFFER && !socket.stops_short;
            let ends_here = is_drained && !socket.hung_up && extent == Extent::Drained;
            let Some(goes) = self.take_wire(key, count, engine, application) else { return };
            let goes_on = !ends_here || goes == Goes::More;
            if count == BUFFER || (goes_on && reads == SHORT_READS) {
                return self.queue_read_and_pass(key);
            }
            if !goes_on {
                return;
            }
        }
    }

    /// Wire bytes of a connection that the program has read.
    pub(super) fn replay(
        &mut self,
        key: Key<Connection>,
        wire: &[u8],
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        let mut chunks = wire.chunks(BUFFER);
        let mut goes = Some(Goes::On);
        loop {
            let count = match goes {
                None | Some(Goes::Ended) => return,
                Some(Goes::More) => 0,
                Some(Goes::On) => {
                    let Some(chunk) = chunks.next() else { return };
                    let Some(buffer) = self.buffer.get_mut(..chunk.len()) else { return };
                    buffer.copy_from_slice(chunk);
                    chunk.len()
                }
            };
            goes = self.take_wire(key, count, engine, application);
        }
    }

    /// So many wire bytes of a connection are in the buffer: its layer makes plain ones of them, and the engine takes
    /// those. `None`: the connection is over, or its client has ended.
    fn take_wire(
        &mut self,
        key: Key<Connection>,
        count: usize,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) -> Option<Goes> {
        let mut wire = self.buffer.get_mut(..count).unwrap_or_default();
        let layered = layer_of(&mut self.layers.layers, key)?;
        if layered.is_behind_proxy_header() {
            let end = engine.end_of_proxy_header(key, wire);
            let (header, rest) = wire.split_at_mut_checked(end.unwrap_or(count))?;
            engine.receive(key, Arrival::Bytes(header), application);
            if end.is_some() {
                // Whether or not bytes of the layer came with it: a load balancer may send the
                // header in a packet of its own.
                layered.end_proxy_header();
            }
            if rest.is_empty() {
                return Some(Goes::On);
            }
            wire = rest;
        }
        let outcome = layered.receive(wire, &mut self.layers.plain);
        self.deliver(key, outcome, engine, application)
    }

    /// What a layer has made of wire bytes goes to the engine; what it says by itself, to the socket.
    fn deliver(
        &mut self,
        key: Key<Connection>,
        outcome: Outcome,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) -> Option<Goes> {
        self.write_own(key, engine, application);
        if !self.layers.plain.is_empty() {
            engine.receive(key, Arrival::Bytes(&mut self.layers.plain), application);
        }
        clear(&mut self.layers.plain);
        match outcome {
            Outcome::Failed(fault) => {
                fail(key, fault, engine, application);
                None
            }
            Outcome::Goes(Goes::Ended) => {
                engine.receive(key, Arrival::End, application);
                None
            }
            Outcome::Goes(goes @ (Goes::On | Goes::More)) => {
                let layered = layer_of(&mut self.layers.layers, key)?;
                if layered.take_awaits_input() {
                    engine.writable(key);
                }
                Some(goes)
            }
        }
    }

    /// Writes what a layer says by itself, if the socket takes it, and shuts the sending side behind the last of it.
    pub(super) fn write_own(
        &mut self,
        key: Key<Connection>,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        let Some(layered) = layer_of(&mut self.layers.layers, key) else { return };
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if layered.has_own_unsent() && layered.flush(write(&mut socket.stream)).is_err() {
            return engine.receive(key, Arrival::Failure, application);
        }
        if layered.take_is_to_be_shut() {
            // Whatever fails here fails the next read too.
            let _ = socket.stream.shut();
        }
        self.note_flushed(key, engine);
    }

    /// Wire bytes have left, or are kept: the engine knows how much memory they take, and what waited for them goes on.
    fn note_flushed(&mut self, key: Key<Connection>, engine: &mut Engine) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        let Some(layered) = layer_of(&mut self.layers.layers, key) else { return };
        let memory = layered.take_change_of_memory();
        // Where the engine has paused it, the next read asks, and finds that.
        if memory == Some(0) && socket.input == Input::Paused {
            self.queue_read_and_pass(key);
        }
        if let Some(memory) = memory {
            engine.hold_in_layer(key, memory);
        }
    }

    /// As [`Reactor::write`]: one chunk of a connection's outbox, as its layer has it.
    pub(super) fn write_layered(
        &mut self,
        key: Key<Connection>,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        let Layers { layers, plain, wire, .. } = &mut self.layers;
        let Some(layered) = layer_of(layers, key) else { return };
        let write = write(&mut socket.stream);
        let written = match layered.has_unsent() {
            true => Some(Ok(layered.flush(write))),
            false => engine.outgoing(key, |slices| layered.send(gather(slices, plain), wire, write)),
        };
        clear(plain);
        clear(wire);
        let Progress { sent, blocked } = match written {
            None => Progress { sent: 0, blocked: false },
            Some(Ok(Ok(progress))) => progress,
            Some(Ok(Err(_))) => return engine.receive(key, Arrival::Failure, application),
            Some(Err(fault)) => return fail(key, fault, engine, application),
        };
        self.note_flushed(key, engine);
        engine.sent(key, sent, blocked);
    }

    /// The last byte of a connection was sent.
    pub(super) fn close_layer(
        &mut self,
        key: Key<Connection>,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        let Some(layered) = layer_of(&mut self.layers.layers, key) else { return };
        match layered.close() {
            Ok(()) => self.write_own(key, engine, application),
            Err(fault) => fail(key, fault, engine, application),
        }
    }
}

/// Gives a connection up whose layer has failed.
pub(super) fn fail(
    key: Key<Connection>,
    fault: Fault,
    engine: &mut Engine,
    application: &mut dyn Application,
) {
    match fault {
        Fault::Error(error) => {
            let peer = engine.note_layer_failure(key);
            application.observe(&Event::LayerFailed { peer, error: &*error });
            if !discard(error) {
                application.observe(&Event::Panicked { session: None });
            }
        }
        Fault::Panic => application.observe(&Event::Panicked { session: None }),
    }
    engine.receive(key, Arrival::Failure, application);
}

/// The front of an outbox, in one piece.
fn gather<'b>(slices: &'b [IoSlice<'_>], buffer: &'b mut Vec<u8>) -> &'b [u8] {
    if let [slice] = slices {
        return slice.get(..CHUNK).unwrap_or(slice);
    }
    for slice in slices {
        let room = CHUNK.saturating_sub(buffer.len());
        buffer.extend_from_slice(slice.get(..room).unwrap_or(slice));
    }
    buffer
}
