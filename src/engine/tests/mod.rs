//! Races and waits, with a made-up clock: every test says exactly what happens when.

mod interleavings;
mod leaving;
mod memory;
mod races;
mod random;
mod relief;
mod shares;
mod slow;
mod time;
mod vanished;
mod waits;
mod world;
