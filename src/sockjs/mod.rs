//! The SockJS protocol: what its URLs, frames, bodies and pages look like.

pub mod json;

mod scan;

#[cfg(test)]
mod random;
