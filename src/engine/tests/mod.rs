//! Races and waits, with a made-up clock: every test says exactly what happens when.

mod admission;
mod answers;
mod flood;
mod groups;
mod interleavings;
mod leaving;
mod memory;
mod overflow;
mod pages;
mod parts;
mod races;
mod random;
mod relief;
mod room;
mod round_trip;
mod shares;
mod slow;
mod terminating;
mod time;
mod turns;
mod vanished;
mod waits;
mod world;
