//! What the fuzzer holds against each part of the server: one module for each target, each with one
//! `check(data)` that panics when an invariant is broken. The targets in `fuzz_targets/` and the replay of the
//! corpora in `tests/fuzz_corpora.rs` call the same functions.
//!
//! The invariant under all of them: fed whole, byte by byte, or cut anywhere, the same bytes have the same effect.

#![allow(dead_code, reason = "each fuzz target runs one of the checks")]

pub mod chunked_body;
pub mod engine;
pub mod frame_writer;
pub mod handshake;
pub mod payloads;
pub mod request_head;
pub mod routes;
pub mod timer_wheel;
pub mod websocket;

/// Fuzz input, taken from the front. Where it has ended there are zeros: every input means something.
#[derive(Clone)]
pub struct Input<'d> {
    rest: &'d [u8],
}

impl<'d> Input<'d> {
    pub fn new(data: &'d [u8]) -> Self {
        Self { rest: data }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// As many bytes as asked for, or as are left.
    pub fn take(&mut self, count: usize) -> &'d [u8] {
        let (front, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        front
    }

    /// A few bytes, with their number before them.
    pub fn short(&mut self) -> &'d [u8] {
        let count = self.byte();
        self.take(usize::from(count))
    }

    pub fn rest(&mut self) -> &'d [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// Marsaglia's xorshift, for places to cut at.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u8) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ u64::from(seed) << 20)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// The ways in which every parser is fed `length` bytes: whole, one by one, and cut at places that the seed picks. Each
/// is a list of the ends of the pieces.
pub fn cuttings(length: usize, seed: u8) -> [Vec<usize>; 3] {
    let mut random = Random::new(seed);
    let mut ends = Vec::new();
    let mut end = 0;
    while end < length {
        end = (end + 1 + random.below(2 + usize::from(seed))).min(length);
        ends.push(end);
    }
    [vec![length], (1..=length).collect(), ends]
}
