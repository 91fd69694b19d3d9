//! The values of flags: text in; values out, or what is wrong, by the flag.

use std::net::{IpAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use sockjs_server::{Overflow, Transport, Transports};

use crate::arguments::Listen;
use crate::log::Format;
use crate::settings::read_time;

const CHECK_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

pub(crate) fn list(text: &str) -> Vec<String> {
    text.split(',').map(|entry| entry.trim().to_owned()).collect()
}

pub(crate) fn origins(text: &str) -> Result<Vec<String>, String> {
    match text {
        "*" => Err("--origins *: leave it out to admit pages of every origin".to_owned()),
        _ => Ok(list(text)),
    }
}

/// The endpoints' paths are put behind it, so that what is wrong with its beginning is said here.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(format!("--base-url {text}: must begin with http:// or https://"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

pub(crate) fn transports(text: &str) -> Result<Transports, String> {
    let mut transports = Transports::none();
    for name in list(text) {
        let known = Transport::ALL.into_iter().find(|transport| transport.name() == name);
        let names = || Transport::ALL.map(Transport::name).join(", ");
        let transport = known.ok_or_else(|| format!("--transports {text}: {name} is none of {}", names()))?;
        transports = transports.with(transport);
    }
    Ok(transports)
}

pub(crate) fn overflow(text: &str) -> Result<Overflow, String> {
    match text {
        "close" => Ok(Overflow::Close),
        "skip" => Ok(Overflow::Skip),
        _ => Err(format!("--overflow {text}: must be close or skip")),
    }
}

pub(crate) fn format_of_log(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(format!("--log {text}: must be text or json")),
    }
}

pub(crate) fn check_timeout(text: &str) -> Result<Duration, String> {
    let timeout = read_time(text).filter(|timeout| CHECK_TIMEOUTS.contains(timeout));
    timeout.ok_or(format!("--timeout {text}: must be a time between 1ms and 3600s, as in 5 or 500ms"))
}

/// It becomes a header field as it is.
pub(crate) fn origin(text: String) -> Result<String, String> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("--origin {text}: must be an origin, as in https://example.org"));
    }
    Ok(text)
}

pub(crate) fn listen(text: &str) -> Result<Vec<Listen>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err("--listen unix: needs a path".to_owned());
        }
        return Ok(vec![Listen::Unix(path.into())]);
    }
    if text == "inherited" {
        return Ok(vec![Listen::Inherited]);
    }
    if let Some(missing) = missing_part(text) {
        return Err(format!("--listen {text}: {missing}"));
    }
    let addresses = text.to_socket_addrs().map_err(|error| format!("--listen {text}: {error}"))?;
    Ok(addresses.map(Listen::Tcp).collect())
}

/// What is missing, and what was probably meant: the errors of the standard library do not say it.
fn missing_part(text: &str) -> Option<String> {
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let bare = text.strip_prefix(':').unwrap_or(text);
    if is_port(bare) {
        return Some(format!("the address is missing, as in 127.0.0.1:{bare}"));
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match inner.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => Some(format!("the port is missing, as in [{address}]:8081")),
        Ok(IpAddr::V4(_)) => Some(format!("the port is missing, as in {inner}:8081")),
        Err(_) if text.contains(':') => None,
        Err(_) => Some(format!("the port is missing, as in {text}:8081")),
    }
}
