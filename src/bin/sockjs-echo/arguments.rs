//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sockjs_server::Preamble;

use crate::check::Address;
use crate::help::HELP;
use crate::log::Format;
use crate::settings::{LIMITS, Limit, Settings, describe_limits};
use crate::values;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Serve(Box<Arguments>),
    Check(Check),
    Print(String),
}

/// What a server is to be.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) listen: Vec<Listen>,
    pub(crate) preamble: Preamble,
    pub(crate) client_js: Option<PathBuf>,
    pub(crate) settings: Settings,
    /// The form of the log, if there is one.
    pub(crate) log: Option<Format>,
}

/// Which server is to be checked, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) url: String,
    pub(crate) address: Address,
    pub(crate) timeout: Duration,
    pub(crate) origin: Option<String>,
}

/// Where to listen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// On the socket that is the standard input: a service manager's, or the last process's.
    Inherited,
}

/// How long a check waits for each answer.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the arguments behind the program's name as the operating system has them.
pub(crate) fn parse_os(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|raw| format!("{}: not UTF-8", raw.to_string_lossy()))
    };
    parse(arguments.map(text).collect::<Result<Vec<_>, _>>()?.into_iter())
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut parsed = Parsed::default();
    while let Some(argument) = arguments.next() {
        // Both `--option value` and `--option=value` are common.
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let (printed, switched) = (printed(name), parsed.switch(name));
        if attached.is_some() && (printed.is_some() || switched) {
            return Err(format!("{name} takes no value"));
        }
        if let Some(text) = printed {
            return Ok(Command::Print(text));
        }
        if switched {
            continue;
        }
        let Some(flag) = Flag::of(name) else { return Err(format!("unknown argument {argument}")) };
        let value = attached.or_else(|| arguments.next()).ok_or_else(|| format!("{name} needs a value"))?;
        parsed.option(name, &flag, value)?;
    }
    parsed.finish()
}

/// What some flags print, whatever stands beside them.
fn printed(name: &str) -> Option<String> {
    match name {
        "-h" | "--help" => Some(HELP.to_owned()),
        "-V" | "--version" => Some(format!("sockjs-echo {}\n", env!("CARGO_PKG_VERSION"))),
        "--limits" => Some(describe_limits()),
        _ => None,
    }
}

/// A flag that has a value: how the value is taken.
enum Flag {
    /// It says what a check is to be.
    Check(Setter),
    Server(Setter),
    Limit(&'static Limit),
}

type Setter = fn(&mut Parsed, String) -> Result<(), String>;

impl Flag {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "--check" => Flag::Check(|parsed, url| put(&mut parsed.check, url)),
            "--timeout" => {
                Flag::Check(|parsed, text| put(&mut parsed.timeout, values::check_timeout(&text)?))
            }
            "--origin" => Flag::Check(|parsed, text| put(&mut parsed.origin, values::origin(text)?)),
            "--listen" => Flag::Server(|parsed, text| extend(&mut parsed.listen, values::listen(&text)?)),
            "--trust-proxy" => Flag::Server(|parsed, text| {
                let network = text.parse().map_err(|error| format!("--trust-proxy {text}: {error}"))?;
                extend(&mut parsed.settings.server.trusted_proxies, vec![network])
            }),
            "--client-js" => Flag::Server(|parsed, file| put(&mut parsed.client_js, file.into())),
            "--client-url" => Flag::Server(|parsed, url| put(&mut parsed.client_url, url)),
            "--origins" => Flag::Server(|parsed, text| {
                extend(&mut parsed.settings.endpoint.origins, values::origins(&text)?)
            }),
            "--transports" => Flag::Server(|parsed, text| {
                parsed.settings.endpoint.transports = values::transports(&text)?;
                Ok(())
            }),
            "--jsessionid" => {
                Flag::Server(|parsed, text| put(&mut parsed.settings.endpoint.jsessionid, text))
            }
            "--base-url" => Flag::Server(|parsed, url| {
                put(&mut parsed.settings.endpoint.base_url, values::base_url(&url)?)
            }),
            "--subprotocols" => Flag::Server(|parsed, text| {
                extend(&mut parsed.settings.endpoint.subprotocols, values::list(&text))
            }),
            "--overflow" => Flag::Server(|parsed, text| {
                parsed.settings.endpoint.overflow = values::overflow(&text)?;
                Ok(())
            }),
            "--log" => Flag::Server(|parsed, text| put(&mut parsed.log, values::format_of_log(&text)?)),
            _ => Flag::Limit(LIMITS.iter().find(|limit| limit.flag == name)?),
        })
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), String> {
    *place = Some(value);
    Ok(())
}

fn extend<T>(list: &mut Vec<T>, values: Vec<T>) -> Result<(), String> {
    list.extend(values);
    Ok(())
}

/// What was read so far.
#[derive(Default)]
struct Parsed {
    listen: Vec<Listen>,
    has_preamble: bool,
    client_js: Option<PathBuf>,
    client_url: Option<String>,
    settings: Settings,
    log: Option<Format>,
    check: Option<String>,
    timeout: Option<Duration>,
    origin: Option<String>,
    /// The first flag that is a server's.
    serving: Option<String>,
}

impl Parsed {
    /// Takes a flag without a value, if it is one.
    fn switch(&mut self, name: &str) -> bool {
        let endpoint = &mut self.settings.endpoint;
        match name {
            "--proxy-protocol" => self.has_preamble = true,
            "--subprotocol-required" => endpoint.subprotocol_required = true,
            "--no-cors" => endpoint.cors = false,
            "--no-iframe" => endpoint.iframe = false,
            // A form that was given stays.
            "--verbose" => _ = self.log.get_or_insert(Format::Text),
            _ => return false,
        }
        self.serve(name);
        true
    }

    /// Takes a flag and its value.
    fn option(&mut self, name: &str, flag: &Flag, value: String) -> Result<(), String> {
        // A cookie may have no attributes.
        if value.is_empty() && name != "--jsessionid" {
            return Err(format!("{name} needs a value"));
        }
        match flag {
            Flag::Check(set) => set(self, value),
            Flag::Server(set) => {
                self.serve(name);
                set(self, value)
            }
            Flag::Limit(limit) => {
                self.serve(name);
                self.settings.set(limit, &value)
            }
        }
    }

    fn serve(&mut self, name: &str) {
        if self.serving.is_none() {
            self.serving = Some(name.to_owned());
        }
    }

    fn finish(mut self) -> Result<Command, String> {
        if let Some(url) = self.check {
            return match self.serving {
                Some(flag) => {
                    Err(format!("{flag} is for serving: beside --check there are --timeout and --origin"))
                }
                None => {
                    let address = Address::parse(&url).map_err(|error| format!("--check {url}: {error}"))?;
                    let timeout = self.timeout.unwrap_or(CHECK_TIMEOUT);
                    Ok(Command::Check(Check { url, address, timeout, origin: self.origin }))
                }
            };
        }
        if self.timeout.is_some() || self.origin.is_some() {
            return Err("--timeout and --origin are for --check".to_owned());
        }
        if let Some(url) = self.client_url {
            if self.client_js.is_some() {
                let error = "--client-js serves a file, --client-url names another place: one of them";
                return Err(error.to_owned());
            }
            self.settings.endpoint.client_url = url;
        }
        if self.settings.endpoint.subprotocol_required && self.settings.endpoint.subprotocols.is_empty() {
            return Err("--subprotocol-required needs --subprotocols".to_owned());
        }
        if self.listen.is_empty() {
            self.listen.push(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8081))));
        }
        self.settings.fit_queue();
        Ok(Command::Serve(Box::new(Arguments {
            listen: self.listen,
            preamble: if self.has_preamble { Preamble::Proxy } else { Preamble::None },
            client_js: self.client_js,
            settings: self.settings,
            log: self.log,
        })))
    }
}

#[cfg(test)]
mod tests {
    use sockjs_server::{Overflow, Transport, Transports};

    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    fn served(line: &str) -> Arguments {
        match parse_line(line) {
            Ok(Command::Serve(arguments)) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn nothing_means_the_default() {
        let arguments = served("");
        assert_eq!(arguments.listen, [Listen::Tcp("127.0.0.1:8081".parse().unwrap())]);
        assert!(arguments.log.is_none() && arguments.settings.drain.is_zero());
    }

    #[test]
    fn everything_can_be_said() {
        let arguments = served(
            "--listen 127.0.0.1:1 --listen=[::1]:2 --listen unix:/s --listen inherited --client-js a.js \
             --message-limit 5 --drain 7 --verbose --proxy-protocol --trust-proxy 10.0.0.0/8",
        );
        let tcp = |text: &str| Listen::Tcp(text.parse().unwrap());
        let expected = [tcp("127.0.0.1:1"), tcp("[::1]:2"), Listen::Unix("/s".into()), Listen::Inherited];
        assert_eq!(arguments.listen, expected);
        assert_eq!(arguments.preamble, Preamble::Proxy);
        assert_eq!(arguments.settings.server.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(arguments.client_js, Some("a.js".into()));
        assert_eq!(arguments.settings.endpoint.message_size, 5);
        assert_eq!(arguments.settings.drain, Duration::from_secs(7));
        assert_eq!(arguments.log, Some(Format::Text));
    }

    #[test]
    fn what_endpoints_offer_can_be_said() {
        let endpoint = served(
            "--client-url /s.js --origins https://a.example,https://b.example --origins=https://c.example \
             --transports websocket,eventsource --jsessionid=Secure --base-url http://h/ --no-cors --no-iframe \
             --subprotocols a,b --subprotocol-required --overflow skip --heartbeat 500ms",
        )
        .settings
        .endpoint;
        assert_eq!(endpoint.client_url, "/s.js");
        assert_eq!(endpoint.origins, ["https://a.example", "https://b.example", "https://c.example"]);
        let both = Transports::none().with(Transport::WebSocket).with(Transport::EventSource);
        assert_eq!(endpoint.transports, both);
        assert_eq!(endpoint.jsessionid.as_deref(), Some("Secure"));
        assert_eq!(endpoint.base_url.as_deref(), Some("http://h"));
        assert!(!endpoint.cors && !endpoint.iframe && endpoint.subprotocol_required);
        assert_eq!(endpoint.subprotocols, ["a", "b"]);
        assert_eq!(endpoint.overflow, Overflow::Skip);
        assert_eq!(endpoint.heartbeat_delay, Duration::from_millis(500));
    }

    #[test]
    fn the_log_has_the_form_that_was_given_wherever_it_stands() {
        for (line, format) in [
            ("--log text", Format::Text),
            ("--log json", Format::Json),
            ("--log json --verbose", Format::Json),
            ("--verbose --log json", Format::Json),
        ] {
            assert_eq!(served(line).log, Some(format), "{line}");
        }
    }

    #[test]
    fn a_check_is_asked_for_without_the_flags_of_a_server() {
        let checked = |line: &str| match parse_line(line) {
            Ok(Command::Check(check)) => check,
            other => panic!("{line}: {other:?}"),
        };
        let url = "http://h/echo".to_owned();
        let address = Address::parse(&url).unwrap();
        let plain =
            Check { url: url.clone(), address: address.clone(), timeout: CHECK_TIMEOUT, origin: None };
        assert_eq!(checked("--check http://h/echo"), plain);
        let origin = Some("https://a.example".to_owned());
        let all = Check { url, address, timeout: Duration::from_millis(300), origin };
        assert_eq!(checked("--timeout 300ms --origin https://a.example --check=http://h/echo"), all);
        let error = parse_line("--check http://h/echo --listen 127.0.0.1:1").unwrap_err();
        assert!(error.starts_with("--listen is for serving"), "{error}");
        for line in [
            "--timeout 5",
            "--origin https://a.example",
            "--check http://h/ --timeout 0",
            "--check https://h/echo",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_largest_limit_of_messages_leaves_room_for_a_queue() {
        let largest = served("--message-limit 268435456").settings.endpoint;
        assert_eq!((largest.message_size, largest.send_queue), (1 << 28, 1 << 30));
        let error = parse_line("--message-limit=268435457").unwrap_err();
        assert_eq!(error, "--message-limit 268435457: must be a number of bytes between 1 and 268435456");
    }

    #[cfg(unix)]
    #[test]
    fn an_argument_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;

        let arguments = [OsString::from("--client-js"), OsString::from_vec(vec![b'a', 0xff])];
        assert_eq!(parse_os(arguments.into_iter()).unwrap_err(), "a\u{fffd}: not UTF-8");
    }

    #[test]
    fn help_and_version_are_printed() {
        let print = |line: &str| match parse_line(line) {
            Ok(Command::Print(text)) => text,
            other => panic!("{line}: {other:?}"),
        };
        for (short, long) in [("-h", "--help"), ("-V", "--version")] {
            assert_eq!(print(short), print(long));
        }
        assert_eq!(print("--help"), HELP);
        assert!(print("-V").starts_with("sockjs-echo "));
        assert!(print("--limits").contains("  --heartbeat TIME\n"));
    }

    #[test]
    fn an_address_without_its_port_is_told_what_is_missing() {
        for (text, missing) in [
            ("127.0.0.1", "the port is missing, as in 127.0.0.1:8081"),
            ("localhost", "the port is missing, as in localhost:8081"),
            ("::1", "the port is missing, as in [::1]:8081"),
            ("[::1]", "the port is missing, as in [::1]:8081"),
            ("8082", "the address is missing, as in 127.0.0.1:8082"),
            (":8082", "the address is missing, as in 127.0.0.1:8082"),
        ] {
            let error = parse_line(&format!("--listen {text}")).unwrap_err();
            assert_eq!(error, format!("--listen {text}: {missing}"));
        }
        assert!(
            parse_line("--listen 127.0.0.1:99999").unwrap_err().starts_with("--listen 127.0.0.1:99999: ")
        );
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for line in [
            "--port 1",
            "8081",
            "--verbose=1",
            "--help=1",
            "--listen",
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
            "--transports",
            "--transports telepathy",
            "--overflow drown",
            "--log xml",
            "--client-js a.js --client-url /b.js",
        ] {
            let error = parse_line(line).expect_err(line);
            let name = line.split([' ', '=']).next().unwrap();
            assert!(error.contains(name), "{line}: {error}");
        }
    }
}
