//! See `checks/timer_wheel` for what is held against the input.
#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::timer_wheel::check(data));
