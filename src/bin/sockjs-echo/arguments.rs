//! The command line.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use sockjs_server::{Network, Preamble};

pub(crate) const HELP: &str = "\
sockjs-echo: a SockJS server with the endpoints that test suites expect, and a page to try them

Usage: sockjs-echo [OPTION]...

  --listen ADDRESS     listen on 127.0.0.1:8081, [::1]:8081, unix:/path/to/socket, or
                       inherited: on the listening socket that is the standard input;
                       may be given several times (default: 127.0.0.1:8081)
  --proxy-protocol     every connection begins with a PROXY header (version 1 or 2)
  --trust-proxy NET    believe X-Forwarded-For from this network, as in 10.0.0.0/8;
                       may be given several times
  --client-js FILE     serve this copy of sockjs-client to the page and to the iframe
                       transports, instead of the one on the jsDelivr CDN
  --message-limit N    the largest message in bytes, at most 268435456
                       (default: 1048576)
  --drain SECONDS      at the first signal refuse new sessions, and give the old ones so
                       long to leave before they are closed, at most 86400 (default: 0)
  --verbose            log a line for each session opened, closed, or refused
  --version            say which version this is
  --help               say this

Endpoints: /echo, /disabled_websocket_echo, /cookie_needed_echo, /close, /ticker,
/amplify, /broadcast. SIGTERM and SIGINT close every session and stop the server;
with --drain the first of them begins to drain it, and the second one stops it.
The exit code is 0 after a stop, 1 after an error, and 2 for arguments it does not know.
";

/// Messages of the largest size that may wait for a client that does not read for a while.
pub(crate) const QUEUED_MESSAGES: usize = 4;

/// The largest limit of messages: a queue for so many of them is as long as it can be, 1 GiB.
const LARGEST_MESSAGE: usize = (1 << 30) / QUEUED_MESSAGES;

/// A day: longer is another program's task.
const LONGEST_DRAIN: Duration = Duration::from_secs(86_400);

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve(Arguments),
    Print(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) listen: Vec<Listen>,
    pub(crate) preamble: Preamble,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) client_js: Option<PathBuf>,
    pub(crate) message_limit: Option<usize>,
    /// How long sessions may stay behind the first signal.
    pub(crate) drain: Duration,
    pub(crate) verbose: bool,
}

/// Where to listen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// On the socket that is the standard input: a service manager's, or the last process's.
    Inherited,
}

/// Reads the arguments behind the program's name as the operating system has them.
pub(crate) fn parse_os(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|raw| format!("{}: not UTF-8", raw.to_string_lossy()))
    };
    parse(arguments.map(text).collect::<Result<Vec<_>, _>>()?.into_iter())
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut parsed = Arguments {
        listen: Vec::new(),
        preamble: Preamble::None,
        trusted_proxies: Vec::new(),
        client_js: None,
        message_limit: None,
        drain: Duration::ZERO,
        verbose: false,
    };
    while let Some(argument) = arguments.next() {
        // Both `--option value` and `--option=value` are common.
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let plain = attached.is_none();
        let value = || attached.or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
        match name {
            "--listen" => parsed.listen.extend(listen(&value()?)?),
            "--proxy-protocol" if plain => parsed.preamble = Preamble::Proxy,
            "--trust-proxy" => {
                let text = value()?;
                let network = text.parse().map_err(|error| format!("--trust-proxy {text}: {error}"))?;
                parsed.trusted_proxies.push(network);
            }
            "--client-js" => parsed.client_js = Some(value()?.into()),
            "--message-limit" => parsed.message_limit = Some(message_limit(&value()?)?),
            "--drain" => parsed.drain = drain(&value()?)?,
            "--verbose" if plain => parsed.verbose = true,
            "--help" if plain => return Ok(Command::Print(HELP.to_owned())),
            "--version" if plain => {
                return Ok(Command::Print(format!("sockjs-echo {}\n", env!("CARGO_PKG_VERSION"))));
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    if parsed.listen.is_empty() {
        parsed.listen.push(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8081))));
    }
    Ok(Command::Serve(parsed))
}

/// `parse` alone would take a leading plus.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn drain(text: &str) -> Result<Duration, String> {
    let seconds = number(text).and_then(|seconds| u32::try_from(seconds).ok());
    let patience = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let patience = patience.filter(|patience| *patience <= LONGEST_DRAIN);
    patience.ok_or(format!(
        "--drain {text}: must be a number of seconds between 0 and {}",
        LONGEST_DRAIN.as_secs()
    ))
}

fn message_limit(text: &str) -> Result<usize, String> {
    let limit = number(text).filter(|limit| (1..=LARGEST_MESSAGE).contains(limit));
    limit.ok_or(format!("--message-limit {text}: must be a number of bytes between 1 and {LARGEST_MESSAGE}"))
}

fn listen(text: &str) -> Result<Vec<Listen>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err("--listen unix: needs a path".to_owned());
        }
        return Ok(vec![Listen::Unix(path.into())]);
    }
    if text == "inherited" {
        return Ok(vec![Listen::Inherited]);
    }
    let addresses = text.to_socket_addrs().map_err(|error| format!("--listen {text}: {error}"))?;
    Ok(addresses.map(Listen::Tcp).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn nothing_means_the_default() {
        let Ok(Command::Serve(arguments)) = parse_line("") else { panic!() };
        assert_eq!(arguments.listen, [Listen::Tcp("127.0.0.1:8081".parse().unwrap())]);
        assert!(!arguments.verbose && arguments.drain.is_zero());
    }

    #[test]
    fn everything_can_be_said() {
        let line = "--listen 127.0.0.1:1 --listen=[::1]:2 --listen unix:/s --listen inherited --client-js a.js \
                    --message-limit 5 --drain 7 --verbose --proxy-protocol --trust-proxy 10.0.0.0/8";
        let Ok(Command::Serve(arguments)) = parse_line(line) else { panic!() };
        let tcp = |text: &str| Listen::Tcp(text.parse().unwrap());
        let expected = [tcp("127.0.0.1:1"), tcp("[::1]:2"), Listen::Unix("/s".into()), Listen::Inherited];
        assert_eq!(arguments.listen, expected);
        assert_eq!(arguments.preamble, Preamble::Proxy);
        assert_eq!(arguments.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(arguments.client_js, Some("a.js".into()));
        assert_eq!(arguments.message_limit, Some(5));
        assert_eq!(arguments.drain, Duration::from_secs(7));
        assert!(arguments.verbose);
    }

    #[test]
    fn the_largest_limit_of_messages_is_the_one_that_is_documented() {
        assert!(HELP.contains(&format!("at most {LARGEST_MESSAGE}\n")));
        let Ok(Command::Serve(arguments)) = parse_line("--message-limit 268435456") else { panic!() };
        assert_eq!(arguments.message_limit, Some(LARGEST_MESSAGE));
        let error = parse_line("--message-limit=268435457").unwrap_err();
        assert_eq!(error, "--message-limit 268435457: must be a number of bytes between 1 and 268435456");
    }

    #[cfg(unix)]
    #[test]
    fn an_argument_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;

        let arguments = [OsString::from("--client-js"), OsString::from_vec(vec![b'a', 0xff])];
        assert_eq!(parse_os(arguments.into_iter()), Err("a\u{fffd}: not UTF-8".to_owned()));
    }

    #[test]
    fn help_and_version_are_printed() {
        assert_eq!(parse_line("--help"), Ok(Command::Print(HELP.to_owned())));
        assert!(
            matches!(parse_line("--version"), Ok(Command::Print(text)) if text.starts_with("sockjs-echo "))
        );
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for line in [
            "--port 1",
            "8081",
            "--verbose=1",
            "--listen",
            "--listen nowhere",
            "--listen unix:",
            "--message-limit x",
            "--message-limit +5",
            "--message-limit -5",
            "--message-limit 0",
            "--message-limit 268435457",
            "--message-limit 99999999999999999999",
            "--drain",
            "--drain +5",
            "--drain 1.5",
            "--drain 86401",
            "--trust-proxy x",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }
}
