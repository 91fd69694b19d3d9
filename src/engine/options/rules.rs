//! What an option may be. A value that cannot work is refused before anything runs, and the refusal says what would.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::http;

/// The longest wait that makes sense: a day.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest message and queue that can be asked for: 1 GiB.
pub(super) const LARGEST_MESSAGE: usize = 1 << 30;

/// A session keeps the place of its own in a byte.
pub(super) const MOST_SUBPROTOCOLS: usize = u8::MAX as usize;

/// `sockjs-client` gives up a jsonp poll that has brought no frame after this time, so that a heartbeat must
/// come before (contract, section 8).
const JSONP_PATIENCE: Duration = Duration::from_secs(35);

/// An option whose value cannot work: which option, what would work, and what the value is.
///
/// ```
/// use sockjs_server::{EndpointOptions, MountError, Server, ServerOptions, Session};
/// # fn main() -> std::io::Result<()> {
/// let mut options = EndpointOptions::default();
/// options.send_queue = 0;
/// let mut server = Server::new(ServerOptions::default())?;
/// match server.mount_with("/echo", options, |_: &mut Session<'_>, _: &str| {}) {
///     Err(MountError::Option(error)) => {
///         assert_eq!(error.option(), "send_queue");
///         assert_eq!(error.to_string(), "option `send_queue` must be between 1 and 1073741824 bytes, but is 0");
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionError {
    option: &'static str,
    /// Reads on from "must".
    rule: Cow<'static, str>,
    value: String,
}

impl OptionError {
    pub(super) fn new(
        option: &'static str,
        rule: impl Into<Cow<'static, str>>,
        value: impl fmt::Debug,
    ) -> Self {
        Self { option, rule: rule.into(), value: format!("{value:?}") }
    }

    /// The name of the option: a field of [`ServerOptions`](crate::ServerOptions) or
    /// [`EndpointOptions`](crate::EndpointOptions).
    pub fn option(&self) -> &'static str {
        self.option
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, rule, value } = self;
        write!(formatter, "option `{option}` must {rule}, but is {value}")
    }
}

impl std::error::Error for OptionError {}

pub(super) fn require(
    option: &'static str,
    is_sound: bool,
    rule: &'static str,
    value: impl fmt::Debug,
) -> Result<(), OptionError> {
    if is_sound { Ok(()) } else { Err(OptionError::new(option, rule, value)) }
}

/// A number of bytes within a range.
pub(super) fn size(
    option: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<(), OptionError> {
    within(option, value, range, " bytes")
}

/// A number of things within a range.
pub(super) fn count(
    option: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<(), OptionError> {
    within(option, value, range, "")
}

fn within(
    option: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
    unit: &str,
) -> Result<(), OptionError> {
    if range.contains(&value) {
        return Ok(());
    }
    let rule = match (*range.start(), *range.end()) {
        (least, usize::MAX) => format!("be at least {least}{unit}"),
        (0, most) => format!("be at most {most}{unit}"),
        (least, most) => format!("be between {least} and {most}{unit}"),
    };
    Err(OptionError::new(option, rule, value))
}

/// Waits are between a millisecond, the server's tick, and a day.
pub(super) fn wait(option: &'static str, value: Duration) -> Result<(), OptionError> {
    let is_sound = (Duration::from_millis(1)..=LONGEST_WAIT).contains(&value);
    require(option, is_sound, "be between 1 ms and 24 h", value)
}

/// A wait whose frames must also come before the client of jsonp gives up, where it is offered.
pub(super) fn heartbeat_delay(value: Duration, jsonp: bool) -> Result<(), OptionError> {
    let longest = if jsonp { JSONP_PATIENCE - Duration::from_millis(1) } else { LONGEST_WAIT };
    let is_sound = (Duration::from_millis(1)..=longest).contains(&value);
    let rule = "be between 1 ms and 24 h, and under 35 s while jsonp-polling is on";
    require("heartbeat_delay", is_sound, rule, value)
}

/// A URL, relative or absolute, that goes into the iframe page.
pub(super) fn client_url(value: &str) -> Result<(), OptionError> {
    let is_url = |letter: char| !letter.is_whitespace() && !letter.is_control();
    let is_sound = !value.is_empty() && value.chars().all(is_url);
    require("client_url", is_sound, "be the URL of sockjs-client, without white space", value)
}

/// `sockjs-client` appends `/<server>/<session>/<transport>` to it, so that nothing may stand behind its path, and
/// turns its `http` into `ws`, in lower case alone.
pub(super) fn base_url(value: &str) -> Result<(), OptionError> {
    let address = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    let is_sound = address.is_some_and(|address| {
        let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        let is_path = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\');
        http::is_authority(authority) && path.bytes().all(is_path) && !path.ends_with('/')
    });
    let rule = "be an absolute URL that begins with http:// or https://, without a trailing slash, query or fragment";
    require("base_url", is_sound, rule, value)
}

/// Attributes of a cookie. Browsers drop a cookie for other sites, or in a partition, that is not `Secure` too
/// (RFC 6265bis §5.7).
pub(super) fn jsessionid(value: &str) -> Result<(), OptionError> {
    require("jsessionid", is_header_text(value), "hold no control characters", value)?;
    let attributes =
        || value.split(';').map(|attribute| attribute.split_once('=').unwrap_or((attribute, "")));
    let has = |wanted: &str| attributes().any(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    let is_for_all_sites = attributes().any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("SameSite") && value.trim().eq_ignore_ascii_case("None")
    });
    let is_sound = has("Secure") || !(is_for_all_sites || has("Partitioned"));
    let rule =
        "have the attribute Secure beside SameSite=None or Partitioned: browsers drop the cookie otherwise";
    require("jsessionid", is_sound, rule, value)
}

fn is_header_text(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control())
}
