//! URLs (protocol.md, section 1) and callbacks (section 8), against the plainest reading of the contract.

use sockjs_server::sockjs::{Action, Route, callback, route};
use sockjs_server::{Transport, Transports};

use super::Input;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let name = String::from_utf8_lossy(input.short()).into_owned();
    let below = String::from_utf8_lossy(input.rest()).into_owned();
    check_callback(&name);
    check_route(&below);
    // Paths that are almost right are rare in the wild of bytes.
    for action in
        ["websocket", "xhr", "xhr_send", "xhr_streaming", "eventsource", "htmlfile", "jsonp", "jsonp_send"]
    {
        check_route(&format!("/{name}/{below}/{action}"));
    }
    check_route(&format!("/iframe{below}.html"));
}

fn check_route(below: &str) {
    let found = route(below);
    assert_eq!(found, naive(below), "{below:?}");
    let Some(found) = found else { return };
    let methods: Vec<_> = found.methods().split(", ").collect();
    assert_eq!(found.has_options(), methods.contains(&"OPTIONS"));
    for method in found.preflight_methods().into_iter().flat_map(|methods| methods.split(", ")) {
        assert!(methods.contains(&method));
    }
    assert!(found.is_enabled(Transports::all()));
    assert_eq!(found.is_enabled(Transports::none()), matches!(found, Route::Greeting | Route::Info));
    if found == Route::Iframe {
        let enabled = |transport| found.is_enabled(Transports::none().with(transport));
        let users = [Transport::XhrPolling, Transport::EventSource, Transport::HtmlFile];
        assert!(Transport::ALL.into_iter().all(|each| enabled(each) == users.contains(&each)));
    }
    if let Some(transport) = found.transport() {
        assert!(found.is_enabled(Transports::none().with(transport)));
        assert!(!found.is_enabled(Transports::all().without(transport)));
    }
}

fn naive(below: &str) -> Option<Route<'_>> {
    let parts: Vec<_> = below.split('/').collect();
    let parts = match parts.as_slice() {
        // One slash at the end is tolerated.
        [front @ .., ""] if front.len() > 1 && front.last() != Some(&"") => front,
        all => all,
    };
    Some(match *parts {
        [""] | ["", ""] => Route::Greeting,
        ["", "info"] => Route::Info,
        ["", "websocket"] => Route::RawWebSocket,
        ["", name] => {
            let version = name.strip_prefix("iframe")?.strip_suffix(".html")?;
            let fits = |character: char| {
                character.is_ascii_digit() || character.is_ascii_lowercase() || "._-".contains(character)
            };
            version.chars().all(fits).then_some(Route::Iframe)?
        }
        ["", server, session, action] => {
            let named = |part: &str| !part.is_empty() && !part.contains('.');
            let action = match action {
                "websocket" => Action::WebSocket,
                "xhr" => Action::Xhr,
                "xhr_streaming" => Action::XhrStreaming,
                "xhr_send" => Action::XhrSend,
                "eventsource" => Action::EventSource,
                "htmlfile" => Action::HtmlFile,
                "jsonp" => Action::Jsonp,
                "jsonp_send" => Action::JsonpSend,
                _ => return None,
            };
            (named(server) && named(session)).then_some(Route::Session { action, session })?
        }
        _ => return None,
    })
}

/// 1 to 32 characters of `[a-zA-Z0-9-_.]`, matched to the very end: what is admitted can only be a name.
fn check_callback(raw: &str) {
    let admitted = callback(Some(raw)).ok();
    if let Some(callback) = &admitted {
        let name = callback.as_str();
        assert!((1..=32).contains(&name.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
    if !raw.contains(['%', '+']) {
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        let plain = (1..=32).contains(&raw.len()) && raw.chars().all(fits);
        assert_eq!(admitted.as_ref().map(|callback| callback.as_str()), plain.then_some(raw));
    }
    // However it is encoded, a name is the same name.
    let encoded: String = raw.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let decoded = callback(Some(&encoded)).ok();
    let plain = raw.replace('%', "%25").replace('+', "%2b");
    assert_eq!(decoded, callback(Some(&plain)).ok());
}
