//! Races and waits, with a made-up clock: every test says exactly what happens when.

mod memory;
mod races;
mod random;
mod shares;
mod slow;
mod waits;
mod world;
