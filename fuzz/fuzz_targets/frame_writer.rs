//! See `tests/fuzz_checks/frame_writer` for what is held against the input.
#![no_main]

#[path = "../../tests/fuzz_checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::frame_writer::check(data));
