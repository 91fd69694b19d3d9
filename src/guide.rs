#![doc = include_str!("guide/index.md")]

#[doc = include_str!("guide/auditing.md")]
pub mod auditing {}

#[doc = include_str!("guide/authentication.md")]
pub mod authentication {}

#[doc = include_str!("guide/backpressure.md")]
pub mod backpressure {}

#[doc = include_str!("guide/close_codes.md")]
pub mod close_codes {}

#[doc = include_str!("guide/connections.md")]
pub mod connections {}

#[doc = include_str!("guide/correctness.md")]
pub mod correctness {}

#[doc = include_str!("guide/deployment.md")]
pub mod deployment {}

#[doc = include_str!("guide/migration.md")]
pub mod migration {}

#[doc = include_str!("guide/pages.md")]
pub mod pages {}

#[doc = include_str!("guide/performance.md")]
pub mod performance {}

#[doc = include_str!("guide/platforms.md")]
pub mod platforms {}

#[doc = include_str!("guide/processes.md")]
pub mod processes {}

// The files that the tests run, whole.
#[doc = include_str!("guide/proxies.md")]
///
/// # The whole file for HAProxy
///
/// ```text
#[doc = include_str!("guide/haproxy.cfg")]
/// ```
///
/// # The whole file for nginx
///
/// ```nginx
#[doc = include_str!("guide/nginx.conf")]
/// ```
pub mod proxies {}

#[doc = include_str!("guide/resuming.md")]
pub mod resuming {}

#[doc = include_str!("guide/rooms.md")]
pub mod rooms {}

#[doc = include_str!("guide/security.md")]
pub mod security {}

#[doc = include_str!("guide/test_server.md")]
pub mod test_server {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/tls.md")]
pub mod tls {}
