//! What `--help` says.

pub(crate) const HELP: &str = "\
sockjs-echo: a SockJS server with the endpoints that test suites expect, and a page to try them

Usage: sockjs-echo [OPTION]...                 serve
       sockjs-echo --check URL [OPTION]...     try every transport of an endpoint that echoes

Listening
  --listen ADDRESS     listen on 127.0.0.1:8081, [::1]:8081, unix:/path/to/socket, or
                       inherited: on the listening socket that is the standard input;
                       may be given several times (default: 127.0.0.1:8081)
  --proxy-protocol     every connection begins with a PROXY header (version 1 or 2)
  --trust-proxy NET    believe X-Forwarded-For from this network, as in 10.0.0.0/8;
                       may be given several times
Endpoints
  --client-js FILE     serve this copy of sockjs-client to the page and to the iframe
                       transports, instead of the one on the jsDelivr CDN
  --client-url URL     let the page and the iframes load sockjs-client from this URL
  --origins LIST       admit pages of these origins alone, as in https://example.org
  --transports LIST    offer these transports alone: websocket, websocket-raw, xhr-polling,
                       xhr-streaming, eventsource, htmlfile, jsonp-polling
  --jsessionid TEXT    set the cookie JSESSIONID at every endpoint, with these attributes, as
                       in 'Secure; SameSite=None'; may be empty
  --base-url URL       /info sends the client to URL/echo and so on
  --subprotocols LIST  speak these on raw WebSockets, best first
  --subprotocol-required
                       refuse raw WebSockets that offer none of --subprotocols
  --no-cors            send no CORS headers
  --no-iframe          serve no iframe page
  --overflow skip      /broadcast skips clients that do not read, instead of closing
Limits
  --heartbeat TIME     send a heartbeat after this much silence (default: 25)
  --message-limit N    the largest message in bytes (default: 1048576)
  --drain TIME         at the first signal refuse new sessions, and give the old ones this
                       long to leave before they are closed (default: 0)
  --limits             list all flags that set a limit or a wait, with range and default
Log
  --verbose            log a line for each session opened, closed, or refused, to the
                       standard error
  --log json           the same as JSON, one object per line; --log text is --verbose
Check
  --check URL          open, send and receive over each transport of http://host:port/echo
  --timeout TIME       the longest wait for each answer (default: 5)
  --origin ORIGIN      ask as a page of this origin does

  -V, --version        print the version
  -h, --help           print this help

Separate the entries of a LIST by commas. TIME is in seconds, or in milliseconds as in 500ms.
Endpoints: /echo, /disabled_websocket_echo, /cookie_needed_echo, /close, /ticker,
/amplify, /broadcast. SIGTERM and SIGINT close every session and stop the server;
with --drain the first of them begins to drain it, and the second one stops it.
The exit code is 0 after a stop, or where everything works that a checked server offers;
1 after an error, or where something does not work; 2 for invalid arguments.
";

#[cfg(test)]
mod tests {
    use sockjs_server::Transport;

    use super::*;
    use crate::arguments::CHECK_TIMEOUT;
    use crate::settings::{Settings, describe_limits};

    /// The help repeats some figures of the library.
    #[test]
    fn the_help_is_true_and_fits_a_terminal() {
        let Settings { endpoint, .. } = Settings::default();
        assert!(HELP.contains(&format!("message in bytes (default: {})", endpoint.message_size)));
        let heartbeat = endpoint.heartbeat_delay.as_secs();
        assert!(HELP.contains(&format!("this much silence (default: {heartbeat})")));
        assert!(HELP.contains(&format!("each answer (default: {})", CHECK_TIMEOUT.as_secs())));
        for transport in Transport::ALL {
            assert!(HELP.contains(transport.name()), "{transport:?}");
        }
        let limits = describe_limits();
        for line in HELP.lines().chain(limits.lines()) {
            assert!(line.chars().count() <= 99, "{line}");
        }
    }
}
