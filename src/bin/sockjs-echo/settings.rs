//! What the endpoints and the server do in their own way, and the flags that set a number of it.

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions};

/// Messages of the largest size that may wait for a client that does not read for a while.
const QUEUED_MESSAGES: usize = 4;

/// How long stopping may take: the user, or the service manager, waits for it.
const GRACE: Duration = Duration::from_secs(3);

/// A day: longer is another program's task.
const LONGEST_WAIT: u64 = 86_400_000;

/// The options of the library, as the command line sets them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) server: ServerOptions,
    pub(crate) endpoint: EndpointOptions,
    /// How long sessions may stay after the first signal.
    pub(crate) drain: Duration,
    /// `--send-queue` was given: otherwise the queue grows with the messages.
    has_queue: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerOptions::default().shutdown_grace(GRACE),
            endpoint: EndpointOptions::default(),
            drain: Duration::ZERO,
            has_queue: false,
        }
    }
}

impl Settings {
    /// Sets one of [`LIMITS`].
    ///
    /// # Errors
    /// A text that is no such number, or one beyond the range. The flag and the range are named.
    pub(crate) fn set(&mut self, limit: &Limit, text: &str) -> Result<(), String> {
        let value = limit.unit.read(text).filter(|value| (limit.least..=limit.most).contains(value));
        limit.field.set(self, value.ok_or_else(|| limit.refuse(text))?);
        self.has_queue |= limit.flag == "--send-queue";
        Ok(())
    }

    /// Makes room for several of the largest messages, unless the queue has a size of its own.
    pub(crate) fn fit_queue(&mut self) {
        let endpoint = &mut self.endpoint;
        if !self.has_queue {
            endpoint.send_queue =
                endpoint.send_queue.max(endpoint.message_size.saturating_mul(QUEUED_MESSAGES));
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Count,
    /// Milliseconds here; seconds on the command line, unless it says `ms`.
    Time,
}

impl Unit {
    /// Reads a number. One that is too large for any range is `u64::MAX`, which is beyond each.
    fn read(self, text: &str) -> Option<u64> {
        if self != Unit::Time {
            return number(text);
        }
        match text.strip_suffix("ms") {
            Some(milliseconds) => number(milliseconds),
            None => {
                number(text.strip_suffix('s').unwrap_or(text)).map(|seconds| seconds.saturating_mul(1000))
            }
        }
    }

    /// The value as the command line takes it.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Unit::Time if !value.is_multiple_of(1000) => format!("{value}ms"),
            Unit::Time => format!("{}s", value / 1000),
            Unit::Bytes | Unit::Count => value.to_string(),
        }
    }
}

/// Reads a time as the command line has it.
pub(crate) fn read_time(text: &str) -> Option<Duration> {
    Unit::Time.read(text).map(Duration::from_millis)
}

/// `parse` alone would take a leading plus.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Where a number goes.
enum Field {
    Size(fn(&mut Settings) -> &mut usize),
    Optional(fn(&mut Settings) -> &mut Option<usize>),
    Time(fn(&mut Settings) -> &mut Duration),
}

impl Field {
    fn set(&self, settings: &mut Settings, value: u64) {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match self {
            Field::Size(field) => *field(settings) = size,
            Field::Optional(field) => *field(settings) = Some(size),
            Field::Time(field) => *field(settings) = Duration::from_millis(value),
        }
    }

    fn get(&self, settings: &mut Settings) -> Option<u64> {
        match self {
            Field::Size(field) => u64::try_from(*field(settings)).ok(),
            Field::Optional(field) => field(settings).and_then(|value| value.try_into().ok()),
            Field::Time(field) => field(settings).as_millis().try_into().ok(),
        }
    }
}

/// A flag that sets a number.
pub(crate) struct Limit {
    pub(crate) flag: &'static str,
    what: &'static str,
    unit: Unit,
    least: u64,
    most: u64,
    field: Field,
}

impl Limit {
    fn refuse(&self, text: &str) -> String {
        let Self { flag, unit, least, most, .. } = self;
        let (least, most) = (unit.show(*least), unit.show(*most));
        let what = match unit {
            Unit::Bytes => "a number of bytes",
            Unit::Count => "a number",
            Unit::Time => "a time in seconds, or in milliseconds as in 500ms,",
        };
        format!("{flag} {text}: must be {what} between {least} and {most}")
    }

    fn describe(&self, defaults: &mut Settings) -> String {
        let Self { flag, what, unit, least, most, field } = self;
        let value = match unit {
            Unit::Bytes => "BYTES",
            Unit::Count => "N",
            Unit::Time => "TIME",
        };
        let default = field.get(defaults).map_or("no limit".to_owned(), |default| unit.show(default));
        let (least, most) = (unit.show(*least), unit.show(*most));
        format!("  {flag} {value}\n      {what}; {least} to {most} (default: {default})\n")
    }
}

/// All flags that set a number, with their ranges and defaults.
pub(crate) fn describe_limits() -> String {
    let mut defaults = Settings::default();
    let mut text = String::from("TIME is in seconds, as in 25, or in milliseconds, as in 500ms.\n\n");
    for limit in &LIMITS {
        text.push_str(&limit.describe(&mut defaults));
    }
    text
}

/// The flag of an option of the library.
pub(crate) fn flag_of(option: &str) -> String {
    match option {
        "heartbeat_delay" => "--heartbeat".to_owned(),
        "message_size" => "--message-limit".to_owned(),
        _ => format!("--{}", option.replace('_', "-")),
    }
}

const fn size(
    flag: &'static str,
    what: &'static str,
    (least, most): (u64, u64),
    field: fn(&mut Settings) -> &mut usize,
) -> Limit {
    Limit { flag, what, unit: Unit::Bytes, least, most, field: Field::Size(field) }
}

const fn count(
    flag: &'static str,
    what: &'static str,
    (least, most): (u64, u64),
    field: fn(&mut Settings) -> &mut usize,
) -> Limit {
    Limit { flag, what, unit: Unit::Count, least, most, field: Field::Size(field) }
}

const fn time(
    flag: &'static str,
    what: &'static str,
    least: u64,
    field: fn(&mut Settings) -> &mut Duration,
) -> Limit {
    Limit { flag, what, unit: Unit::Time, least, most: LONGEST_WAIT, field: Field::Time(field) }
}

/// Largest queue of a session: 1 GiB.
const LARGEST_QUEUE: u64 = 1 << 30;

/// The largest limit of messages: a queue for [`QUEUED_MESSAGES`] of them is as long as it can be.
const LARGEST_MESSAGE: u64 = LARGEST_QUEUE / QUEUED_MESSAGES as u64;

/// The ranges are the library's: a test sets each end of each.
pub(crate) static LIMITS: [Limit; 23] = [
    time("--heartbeat", "a heartbeat follows this much silence; under 35s with jsonp", 1, |settings| {
        &mut settings.endpoint.heartbeat_delay
    }),
    time("--pong-timeout", "the longest wait for the answer to a WebSocket ping", 1, |settings| {
        &mut settings.endpoint.pong_timeout
    }),
    time("--disconnect-delay", "how long a session lives without a receiver", 1, |settings| {
        &mut settings.endpoint.disconnect_delay
    }),
    size("--response-limit", "the length of a streaming response; 4096 at /echo", (1, 1 << 30), |settings| {
        &mut settings.endpoint.response_limit
    }),
    size("--message-limit", "the largest message", (1, LARGEST_MESSAGE), |settings| {
        &mut settings.endpoint.message_size
    }),
    size("--send-queue", "the most that waits for one session", (1, LARGEST_QUEUE), |settings| {
        &mut settings.endpoint.send_queue
    }),
    count("--sessions", "the most sessions of each endpoint", (1, 1 << 24), |settings| {
        &mut settings.endpoint.sessions
    }),
    size("--session-id-length", "the longest session id of a client", (1, 4096), |settings| {
        &mut settings.endpoint.session_id_length
    }),
    count("--connections", "the most connections", (1, 1 << 20), |settings| &mut settings.server.connections),
    Limit {
        flag: "--connections-per-client",
        what: "the most connections of one address",
        unit: Unit::Count,
        least: 1,
        most: 1 << 20,
        field: Field::Optional(|settings| &mut settings.server.connections_per_client),
    },
    size("--buffered-bytes", "the most that the server buffers", (1 << 20, usize::MAX as u64), |settings| {
        &mut settings.server.buffered_bytes
    }),
    size("--request-line", "the longest request line", (64, 1 << 20), |settings| {
        &mut settings.server.request_line
    }),
    size("--header-section", "the largest header section", (64, 1 << 24), |settings| {
        &mut settings.server.header_section
    }),
    count("--header-count", "the most header fields", (1, 256), |settings| &mut settings.server.header_count),
    size("--body-size", "the largest body outside of the endpoints", (0, 1 << 30), |settings| {
        &mut settings.server.body_size
    }),
    time("--head-timeout", "how long the head of a request may take", 1, |settings| {
        &mut settings.server.head_timeout
    }),
    time("--body-timeout", "how long the body of a request may take", 1, |settings| {
        &mut settings.server.body_timeout
    }),
    time("--keep-alive", "how long a connection may idle between two requests", 1, |settings| {
        &mut settings.server.keep_alive
    }),
    time("--write-stall", "how long a client may take no byte", 1, |settings| {
        &mut settings.server.write_stall
    }),
    size(
        "--slowest-client",
        "a client that reads fewer bytes a second is not waited for",
        (1, 1 << 30),
        |settings| &mut settings.server.slowest_client,
    ),
    time("--close-timeout", "how long a closing handshake may take", 1, |settings| {
        &mut settings.server.close_timeout
    }),
    time("--shutdown-grace", "how long stopping may take", 0, |settings| &mut settings.server.shutdown_grace),
    time("--drain", "how long sessions may stay after the first signal", 0, |settings| &mut settings.drain),
];

#[cfg(test)]
mod tests {
    use sockjs_server::{Server, Session, Transport};

    use super::*;
    use crate::endpoints;

    /// What the library says to these settings.
    fn try_out(settings: &Settings) -> Result<(), String> {
        let mut server = Server::new(settings.server.clone()).map_err(|error| error.to_string())?;
        endpoints::mount(&mut server, &settings.endpoint).map_err(|error| error.to_string())
    }

    /// The jsonp transport has a rule of its own for heartbeats.
    fn without_jsonp() -> Settings {
        let mut settings = Settings::default();
        settings.endpoint.transports = settings.endpoint.transports.without(Transport::JsonpPolling);
        settings
    }

    #[test]
    fn the_library_takes_both_ends_of_each_range_and_nothing_beyond() {
        for limit in &LIMITS {
            for end in [limit.least, limit.most] {
                let mut settings = without_jsonp();
                let text = limit.unit.show(end);
                assert_eq!(settings.set(limit, &text), Ok(()), "{} {text}", limit.flag);
                assert_eq!(limit.field.get(&mut settings), Some(end), "{}", limit.flag);
                assert_eq!(try_out(&settings), Ok(()), "{} {text}", limit.flag);
            }
            for beyond in [limit.least.checked_sub(1), limit.most.checked_add(1)].into_iter().flatten() {
                let text = match limit.unit {
                    Unit::Time => format!("{beyond}ms"),
                    _ => beyond.to_string(),
                };
                let mut settings = without_jsonp();
                let error = settings.set(limit, &text).expect_err(limit.flag);
                let range =
                    format!("between {} and {}", limit.unit.show(limit.least), limit.unit.show(limit.most));
                assert!(error.starts_with(limit.flag) && error.ends_with(&range), "{error}");
                limit.field.set(&mut settings, beyond);
                // These are beyond ranges of the command line's own.
                let is_ours = match limit.flag {
                    "--drain" => true,
                    "--message-limit" => beyond > limit.most,
                    _ => false,
                };
                assert_eq!(try_out(&settings).is_ok(), is_ours, "{} {text}", limit.flag);
            }
        }
    }

    #[test]
    fn numbers_are_digits_and_times_have_units() {
        let read = |texts: &[&str], unit: Unit| texts.iter().map(|text| unit.read(text)).collect::<Vec<_>>();
        let none = ["", "+5", "-5", "1e3", "1.5", " 1", "x"];
        for unit in [Unit::Bytes, Unit::Count, Unit::Time] {
            assert_eq!(read(&none, unit), [None; 7], "{unit:?}");
        }
        assert_eq!(
            read(&["0", "64", "99999999999999999999"], Unit::Count),
            [Some(0), Some(64), Some(u64::MAX)]
        );
        assert_eq!(
            read(&["2", "2s", "500ms", "ms", "s"], Unit::Time),
            [Some(2000), Some(2000), Some(500), None, None]
        );
        assert_eq!(Unit::Time.read("99999999999999999999"), Some(u64::MAX));
    }

    #[test]
    fn the_queue_grows_with_the_messages_unless_it_has_a_size() {
        let limit = |flag: &str| LIMITS.iter().find(|limit| limit.flag == flag).expect(flag);
        let mut settings = Settings::default();
        settings.set(limit("--message-limit"), "10000000").expect("a size");
        settings.fit_queue();
        assert_eq!(settings.endpoint.send_queue, 40_000_000);
        settings.set(limit("--send-queue"), "5").expect("a size");
        settings.fit_queue();
        assert_eq!(settings.endpoint.send_queue, 5);
    }

    /// An error of the library names the option; the command line names the flag.
    #[test]
    fn each_option_has_its_flag() {
        let mut server = Server::new(ServerOptions::default()).expect("server");
        for (option, flag) in [("heartbeat_delay", "--heartbeat"), ("base_url", "--base-url")] {
            assert_eq!(flag_of(option), flag);
        }
        let options = EndpointOptions::default().message_size(0);
        let error = server.mount_with("/", options, |_: &mut Session<'_>, _: &str| {}).expect_err("no size");
        let sockjs_server::MountError::Option(error) = error else { panic!("{error}") };
        assert_eq!(flag_of(error.option()), "--message-limit");
    }
}
