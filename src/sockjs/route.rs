//! What a path below an endpoint's prefix asks for (protocol, section 1).
//!
//! In goes a raw path, not percent-decoded and without its query; out comes a [`Route`], or nothing where the
//! answer is 404. Matching is exact and case-sensitive.

use super::transport::{Transport, Transports};

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route<'p> {
    /// The greeting.
    Greeting,
    /// What the endpoint can do.
    Info,
    /// The page that clients load into a hidden iframe.
    Iframe,
    /// A WebSocket without SockJS framing.
    RawWebSocket,
    /// Something with a session.
    Session {
        /// What to do.
        action: Action,
        /// The session's id as the client chose it: not empty, without `.` and `/`.
        session: &'p str,
    },
}

/// What a session's path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Both directions over WebSocket.
    WebSocket,
    /// Receive by xhr-polling.
    Xhr,
    /// Receive by xhr-streaming.
    XhrStreaming,
    /// Send, for every HTTP transport but jsonp-polling.
    XhrSend,
    /// Receive by eventsource.
    EventSource,
    /// Receive by htmlfile.
    HtmlFile,
    /// Receive by jsonp-polling.
    Jsonp,
    /// Send for jsonp-polling.
    JsonpSend,
}

/// What the path `below` an endpoint's prefix asks for; `None` means 404.
///
/// `below` is empty or begins with `/`. One trailing slash is tolerated behind a known path.
pub fn route(below: &str) -> Option<Route<'_>> {
    let path = below.strip_suffix('/').unwrap_or(below);
    if path.is_empty() {
        return Some(Route::Greeting);
    }
    match path.strip_prefix('/')? {
        "info" => Some(Route::Info),
        "websocket" => Some(Route::RawWebSocket),
        name if is_iframe(name) => Some(Route::Iframe),
        name => session_route(name),
    }
}

/// `iframe*.html`: clients put their version between, so that the page is cached for each of them.
fn is_iframe(name: &str) -> bool {
    name.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html")).is_some_and(|version| {
        version.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'_' | b'-'))
    })
}

/// `{server}/{session}/{action}`. The server part is a load balancer's, and means nothing here.
fn session_route(path: &str) -> Option<Route<'_>> {
    let (server, rest) = path.split_once('/')?;
    let (session, action) = rest.split_once('/')?;
    if [server, session].iter().any(|part| part.is_empty() || part.contains('.')) {
        return None;
    }
    Some(Route::Session { action: Action::named(action)?, session })
}

impl Route<'_> {
    /// The value of `Allow` for this path (RFC 9110 §10.2.1).
    pub const fn methods(self) -> &'static str {
        match self {
            Route::Greeting | Route::Iframe => "GET, HEAD",
            Route::Info => "OPTIONS, GET, HEAD",
            Route::RawWebSocket => "GET",
            Route::Session { action, .. } => action.methods(),
        }
    }

    /// The value of `Access-Control-Allow-Methods` in the answer to OPTIONS; `None` where OPTIONS is not
    /// answered.
    pub const fn preflight_methods(self) -> Option<&'static str> {
        match self {
            Route::Info => Some("OPTIONS, GET"),
            Route::Session { action: Action::Xhr | Action::XhrStreaming | Action::XhrSend, .. } => {
                Some("OPTIONS, POST")
            }
            Route::Greeting | Route::Iframe | Route::RawWebSocket | Route::Session { .. } => None,
        }
    }

    /// Whether OPTIONS is answered.
    pub const fn has_options(self) -> bool {
        self.preflight_methods().is_some()
    }

    /// The transport whose receiver this path is; `None` for all that receive no frames.
    pub const fn transport(self) -> Option<Transport> {
        match self {
            Route::RawWebSocket => Some(Transport::RawWebSocket),
            Route::Session { action, .. } => action.transport(),
            Route::Greeting | Route::Info | Route::Iframe => None,
        }
    }

    /// Whether this path exists where only these transports are enabled; one that does not is 404.
    pub const fn is_enabled(self, enabled: Transports) -> bool {
        match self {
            Route::Greeting | Route::Info => true,
            // The client's iframe transports speak one of these three from inside of the page.
            Route::Iframe => {
                enabled.contains(Transport::XhrPolling)
                    || enabled.contains(Transport::EventSource)
                    || enabled.contains(Transport::HtmlFile)
            }
            Route::RawWebSocket => enabled.contains(Transport::RawWebSocket),
            Route::Session { action, .. } => action.is_enabled(enabled),
        }
    }
}

impl Action {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "websocket" => Action::WebSocket,
            "xhr" => Action::Xhr,
            "xhr_streaming" => Action::XhrStreaming,
            "xhr_send" => Action::XhrSend,
            "eventsource" => Action::EventSource,
            "htmlfile" => Action::HtmlFile,
            "jsonp" => Action::Jsonp,
            "jsonp_send" => Action::JsonpSend,
            _ => return None,
        })
    }

    /// The value of `Allow` for this action's path (RFC 9110 §10.2.1).
    pub const fn methods(self) -> &'static str {
        match self {
            Action::WebSocket => "GET",
            Action::Xhr | Action::XhrStreaming | Action::XhrSend => "OPTIONS, POST",
            Action::EventSource | Action::HtmlFile | Action::Jsonp => "GET, HEAD",
            Action::JsonpSend => "POST",
        }
    }

    /// The transport whose receiver this action is; `None` for the two that send.
    pub const fn transport(self) -> Option<Transport> {
        match self {
            Action::WebSocket => Some(Transport::WebSocket),
            Action::Xhr => Some(Transport::XhrPolling),
            Action::XhrStreaming => Some(Transport::XhrStreaming),
            Action::EventSource => Some(Transport::EventSource),
            Action::HtmlFile => Some(Transport::HtmlFile),
            Action::Jsonp => Some(Transport::JsonpPolling),
            Action::XhrSend | Action::JsonpSend => None,
        }
    }

    /// Whether one of these transports uses this action; a send lives as long as one of its receivers.
    const fn is_enabled(self, enabled: Transports) -> bool {
        match self {
            Action::WebSocket => enabled.contains(Transport::WebSocket),
            Action::Xhr => enabled.contains(Transport::XhrPolling),
            Action::XhrStreaming => enabled.contains(Transport::XhrStreaming),
            Action::XhrSend => {
                enabled.contains(Transport::XhrPolling)
                    || enabled.contains(Transport::XhrStreaming)
                    || enabled.contains(Transport::EventSource)
                    || enabled.contains(Transport::HtmlFile)
            }
            Action::EventSource => enabled.contains(Transport::EventSource),
            Action::HtmlFile => enabled.contains(Transport::HtmlFile),
            Action::Jsonp | Action::JsonpSend => enabled.contains(Transport::JsonpPolling),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [(&str, Action); 8] = [
        ("websocket", Action::WebSocket),
        ("xhr", Action::Xhr),
        ("xhr_streaming", Action::XhrStreaming),
        ("xhr_send", Action::XhrSend),
        ("eventsource", Action::EventSource),
        ("htmlfile", Action::HtmlFile),
        ("jsonp", Action::Jsonp),
        ("jsonp_send", Action::JsonpSend),
    ];

    #[test]
    fn fixed_paths() {
        let cases = [
            ("", Route::Greeting),
            ("/", Route::Greeting),
            ("/info", Route::Info),
            ("/info/", Route::Info),
            ("/websocket", Route::RawWebSocket),
            ("/websocket/", Route::RawWebSocket),
            ("/iframe.html", Route::Iframe),
            ("/iframe.html/", Route::Iframe),
            ("/iframe-a.html", Route::Iframe),
            ("/iframe-.html", Route::Iframe),
            ("/iframe_.html", Route::Iframe),
            ("/iframe-0.1.2.html", Route::Iframe),
            ("/iframe-0.1.2abc-dirty.2144.html", Route::Iframe),
            ("/iframe.html.html", Route::Iframe),
        ];
        for (below, expected) in cases {
            assert_eq!(route(below), Some(expected), "{below:?}");
        }
    }

    #[test]
    fn session_paths() {
        for (name, action) in ACTIONS {
            for (server, session) in
                [("a", "a"), ("_", "_"), ("1", "1"), ("000", "__proto__"), ("é", "日本"), ("info", "info")]
                    .into_iter()
                    .chain([("abcdefgh_i-j%20", "abcdefg_i-j%20"), ("%2e", "%2F"), ("iframe", "websocket")])
            {
                for slash in ["", "/"] {
                    let below = format!("/{server}/{session}/{name}{slash}");
                    assert_eq!(route(&below), Some(Route::Session { action, session }), "{below:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_else_is_found() {
        let fixed = [
            "//",
            "///",
            "////",
            "/a",
            "/a/",
            "/a.html",
            "/a/a",
            "/a/a/",
            "//a",
            "a",
            "x/info",
            "-elsewhere",
            "info",
            "/Info",
            "/INFO",
            "/info//",
            "/info/a",
            "//info",
            "/inf",
            "/information",
            "/info.",
            "/info%2f",
            "/websocket//",
            "/WebSocket",
            "/iframe",
            "/iframe.htm",
            "/iframe.xml",
            "/iframe.HTML",
            "/IFRAME.HTML",
            "/IFRAME",
            "/iframe-A.html",
            "/iframe-/.html",
            "/iframe-%20.html",
            "/iframe-é.html",
            "/iframe.html//",
            "/iframe\n.html",
            "/xframe.html",
            "/iframehtml",
            "/a/b/c",
            "/a/b/c/xhr",
            "/a/b/",
            "/a/b//",
        ];
        for below in fixed {
            assert_eq!(route(below), None, "{below:?}");
        }
        for (name, _) in ACTIONS {
            let upper = name.to_ascii_uppercase();
            for below in [
                format!("/{upper}"),
                format!("/a/{name}"),
                format!("//a/{name}"),
                format!("/a//{name}"),
                format!("///{name}"),
                format!("////{name}"),
                format!("/a./a/{name}"),
                format!("/a/a./{name}"),
                format!("/./a/{name}"),
                format!("/a/../{name}"),
                format!("/a/a/{upper}"),
                format!("/a/a/{name}//"),
                format!("/a/a//{name}"),
                format!("/a/a/a/{name}"),
                format!("/a/a/{name}x"),
                format!("/a/a/{name}/x"),
                format!("/a/a/ {name}"),
                format!("/a/a/{name}%20"),
                format!("a/a/{name}"),
            ] {
                assert_eq!(route(&below), None, "{below:?}");
            }
        }
    }

    /// Section 1's table.
    #[test]
    fn methods_of_every_path() {
        let cases = [
            ("", "GET, HEAD", None),
            ("/info", "OPTIONS, GET, HEAD", Some("OPTIONS, GET")),
            ("/iframe.html", "GET, HEAD", None),
            ("/websocket", "GET", None),
            ("/a/b/websocket", "GET", None),
            ("/a/b/xhr", "OPTIONS, POST", Some("OPTIONS, POST")),
            ("/a/b/xhr_streaming", "OPTIONS, POST", Some("OPTIONS, POST")),
            ("/a/b/xhr_send", "OPTIONS, POST", Some("OPTIONS, POST")),
            ("/a/b/eventsource", "GET, HEAD", None),
            ("/a/b/htmlfile", "GET, HEAD", None),
            ("/a/b/jsonp", "GET, HEAD", None),
            ("/a/b/jsonp_send", "POST", None),
        ];
        for (below, methods, preflight) in cases {
            let route = route(below).unwrap();
            assert_eq!(route.methods(), methods, "{below:?}");
            assert_eq!(route.preflight_methods(), preflight, "{below:?}");
            assert_eq!(route.has_options(), preflight.is_some(), "{below:?}");
        }
    }

    #[test]
    fn disabled_transports_have_no_paths() {
        use Transport::*;
        let cases: [(&str, Option<Transport>, &[Transport]); 12] = [
            ("", None, &Transport::ALL),
            ("/info", None, &Transport::ALL),
            ("/iframe.html", None, &[XhrPolling, EventSource, HtmlFile]),
            ("/websocket", Some(RawWebSocket), &[RawWebSocket]),
            ("/a/b/websocket", Some(WebSocket), &[WebSocket]),
            ("/a/b/xhr", Some(XhrPolling), &[XhrPolling]),
            ("/a/b/xhr_streaming", Some(XhrStreaming), &[XhrStreaming]),
            ("/a/b/xhr_send", None, &[XhrPolling, XhrStreaming, EventSource, HtmlFile]),
            ("/a/b/eventsource", Some(EventSource), &[EventSource]),
            ("/a/b/htmlfile", Some(HtmlFile), &[HtmlFile]),
            ("/a/b/jsonp", Some(JsonpPolling), &[JsonpPolling]),
            ("/a/b/jsonp_send", None, &[JsonpPolling]),
        ];
        for (below, transport, users) in cases {
            let route = route(below).unwrap();
            assert_eq!(route.transport(), transport, "{below:?}");
            for each in Transport::ALL {
                let enabled = Transports::none().with(each);
                assert_eq!(route.is_enabled(enabled), users.contains(&each), "{below:?} {each:?}");
            }
        }
    }
}
