//! Which pages may use an endpoint: an allow-list of origins, held against the page that a request comes from.
//!
//! In go the list and the fields of a request; out comes whether the request may pass. A browser names the page of a
//! request in several ways, and sometimes not at all: GETs of `<script>`, `<iframe>` and `<img>`, no-cors fetches and
//! GETs of the same origin carry no `Origin` (Fetch §3.2). So the page is, in this order:
//!
//! 1. `Origin`, or `Sec-WebSocket-Origin` of the drafts before RFC 6455;
//! 2. the origin of `Referer`, which a page can suppress but not forge;
//! 3. what `Host` names, where `Sec-Fetch-Site` says that the page is of that origin (Fetch Metadata §2.3);
//! 4. unknown.
//!
//! The server's own name is no more trusted than another one: a name that resolves to this server today may have been
//! another server's a moment ago, when the page was loaded from there (DNS rebinding).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::error::Error;
use std::fmt;

use super::Request;

/// The origins whose pages may come in; an empty list admits every page.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    entries: Vec<Entry>,
}

/// How a browser can load what a path answers, beside by a script that reads the answer under the rules of CORS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    /// By such a script alone. A page of another origin cannot leave `Origin` out of it.
    Script,
    /// By an EventSource, which sends no `Origin` to its own origin.
    EventSource,
    /// As a script, a form or a frame, which every browser loads across origins, old ones without a word of the page.
    Element,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// An origin as browsers send it; also `null`.
    Exactly(String),
    /// Every name below a host: `https://*.example.org:8443`, cut at the asterisk.
    Below { before: String, behind: String },
}

/// The page of a request.
enum Page<'r> {
    /// Of this origin.
    Origin(&'r [u8]),
    /// Of the origin that this value of `Host` names, whatever its scheme.
    Host(&'r [u8]),
    /// Named in a way that no browser uses, or several times.
    Dubious,
    /// Of another origin than the server's, which it does not name.
    Foreign,
    Unknown,
}

impl Origins {
    /// A list of entries `scheme://host[:port]` or `scheme://*.host[:port]`, or `null`.
    ///
    /// # Errors
    ///
    /// An entry that is not an origin as browsers send it (RFC 6454 §6.2): no request could ever match it.
    pub fn new(entries: &[String]) -> Result<Self, OriginError> {
        let entries = entries.iter().map(|entry| Entry::new(entry)).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Whether every page may come in.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a request may pass, for a path whose answer browsers can load in this way.
    pub fn admit(&self, request: &Request<'_, '_>, loading: Loading) -> bool {
        if self.is_empty() {
            return true;
        }
        match page_of(request) {
            Page::Origin(origin) => self.entries.iter().any(|entry| entry.is_origin(origin)),
            Page::Host(host) => self.entries.iter().any(|entry| entry.is_host(host)),
            Page::Dubious | Page::Foreign => false,
            // A program, or a browser that does not know `Sec-Fetch-Site`, or does not send it because this server is
            // not reached by https (Fetch Metadata §2).
            Page::Unknown => match loading {
                Loading::Script => true,
                // A page that was loaded under a foreign name, which now resolves to this server, is of the same
                // origin for its browser: nothing but the browser itself shows in what it sends.
                Loading::EventSource => !is_from_browser(request),
                Loading::Element => false,
            },
        }
    }

    /// The value of `Content-Security-Policy` by which only pages of these origins can frame an answer.
    pub fn frame_policy(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        // An opaque origin, `null`, has no name in a policy (CSP §2.3.1).
        let sources = self.entries.iter().filter_map(|entry| match entry {
            Entry::Exactly(origin) => (origin != NULL).then(|| origin.clone()),
            Entry::Below { before, behind } => Some(format!("{before}*{behind}")),
        });
        let sources = sources.collect::<Vec<_>>().join(" ");
        Some(format!("frame-ancestors {}", if sources.is_empty() { "'none'" } else { &sources }))
    }
}

/// The origin of pages without one of their own: sandboxed frames, `data:` URLs.
const NULL: &str = "null";

fn page_of<'b>(request: &Request<'_, 'b>) -> Page<'b> {
    for name in ["origin", "sec-websocket-origin"] {
        let mut values = request.header_values(name);
        match (values.next(), values.next()) {
            (None, _) => {}
            (Some(origin), None) => return Page::Origin(origin),
            (Some(_), Some(_)) => return Page::Dubious,
        }
    }
    let mut referers = request.header_values("referer").filter(|value| !value.is_empty());
    match (referers.next(), referers.next()) {
        (None, _) => {}
        (Some(referer), None) => return origin_of(referer).map_or(Page::Dubious, Page::Origin),
        (Some(_), Some(_)) => return Page::Dubious,
    }
    match request.header("sec-fetch-site") {
        Some(b"same-origin") => request.header("host").map_or(Page::Dubious, Page::Host),
        Some(b"cross-site" | b"same-site") => Page::Foreign,
        _ => Page::Unknown,
    }
}

/// The origin of a URL as browsers write it: all up to the path, since they leave out default ports.
fn origin_of(url: &[u8]) -> Option<&[u8]> {
    let scheme = url.windows(3).position(|part| part == b"://")?;
    let start = scheme + 3;
    let length = url.get(start..)?.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    url.get(..length.map_or(url.len(), |length| start + length))
}

/// Whether a request shows that a browser made it: every one sends the user's languages (Fetch §4.6, step 8.18), and a
/// page can change that field but not remove it.
fn is_from_browser(request: &Request<'_, '_>) -> bool {
    let names_browser = |agent: &[u8]| agent.starts_with(b"Mozilla/");
    request.header("accept-language").is_some() || request.header("user-agent").is_some_and(names_browser)
}

impl Entry {
    fn new(text: &str) -> Result<Self, OriginError> {
        if text == NULL {
            return Ok(Entry::Exactly(text.to_owned()));
        }
        check(text).map_err(|rule| OriginError { entry: text.to_owned(), rule })?;
        Ok(match text.split_once('*') {
            Some((before, behind)) => Entry::Below { before: before.to_owned(), behind: behind.to_owned() },
            None => Entry::Exactly(text.to_owned()),
        })
    }

    fn is_origin(&self, origin: &[u8]) -> bool {
        match self {
            Entry::Exactly(own) => own.as_bytes() == origin,
            Entry::Below { before, behind } => {
                origin.strip_prefix(before.as_bytes()).is_some_and(|host| is_below(host, behind))
            }
        }
    }

    /// Whether `Host` names what the entry does, apart from the scheme, which it does not tell.
    fn is_host(&self, host: &[u8]) -> bool {
        let host = host.to_ascii_lowercase();
        match self {
            Entry::Exactly(own) => {
                own.split_once("://").is_some_and(|(_, authority)| authority.as_bytes() == host)
            }
            Entry::Below { behind, .. } => is_below(&host, behind),
        }
    }
}

/// Whether `host` is one or more labels in front of `behind`, which begins with a dot.
fn is_below(host: &[u8], behind: &str) -> bool {
    let is_label_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    host.strip_suffix(behind.as_bytes())
        .is_some_and(|labels| !labels.is_empty() && labels.iter().all(is_label_byte))
}

/// What is wrong with an entry: browsers send an origin in one way only, and it is compared byte for byte.
fn check(text: &str) -> Result<(), &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'\'' | b'"')) {
        return Err("one entry holds one origin, without white space, commas or quotes around it");
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err("an origin is scheme://host[:port]; leave the list empty to admit every origin");
    };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
        return Err("its scheme is not one (RFC 3986 §3.1)");
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("browsers send origins in lower case");
    }
    if matches!(scheme, "ws" | "wss") {
        return Err("a page has the scheme http or https, also where it opens a WebSocket");
    }
    if authority.contains(['/', '?', '#', '@', '\\']) {
        return Err("an origin ends with its host or port: no path, no slash behind it, no user");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if let Some(port) = port {
        check_port(scheme, port)?;
    }
    check_host(host)
}

fn check_port(scheme: &str, port: &str) -> Result<(), &'static str> {
    let is_decimal = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    if !is_decimal || port.parse::<u16>().is_err() {
        return Err("its port is not a number from 1 to 65535");
    }
    match (scheme, port) {
        ("http", "80") | ("https", "443") => {
            Err("browsers leave out the port that the scheme has by default")
        }
        _ => Ok(()),
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|text| Some((text, text.parse().ok()?)));
        return match address {
            Some((text, address)) if text == serialize(address) => Ok(()),
            Some(_) => Err("browsers write its IPv6 address in another way (WHATWG URL, IPv6 serializer)"),
            None => Err("its IPv6 address is not one"),
        };
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if name.contains('*') {
        return Err("an asterisk stands for names below a host: scheme://*.host");
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.starts_with('.') || name.contains("..") || !name.bytes().all(is_name) {
        return Err("its host is not one as browsers send it (other scripts as xn--)");
    }
    if ends_in_number(name) && host.parse::<Ipv4Addr>().is_err() {
        return Err("browsers take its host for an IPv4 address, and write that as four decimal numbers");
    }
    Ok(())
}

/// An IPv6 address as browsers write it: an IPv4 address within it is written like the rest.
fn serialize(address: Ipv6Addr) -> String {
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(_), [.., high, low]) => format!("::ffff:{high:x}:{low:x}"),
        (None, _) => address.to_string(),
    }
}

/// Whether browsers take a name for an IPv4 address (WHATWG URL, "ends in a number").
fn ends_in_number(name: &str) -> bool {
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hexadecimal)
}

/// An entry of an allow-list that no origin can match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginError {
    entry: String,
    rule: &'static str,
}

impl OriginError {
    /// The entry.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// What is wrong with it.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is not an origin: {} (RFC 6454 §6.2)", self.entry, self.rule)
    }
}

impl Error for OriginError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeaderStorage;
    use crate::http::testing::LIMITS;

    fn list(entries: &[&str]) -> Origins {
        Origins::new(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn admits(origins: &Origins, fields: &str, loading: Loading) -> bool {
        let head = format!("GET /chat HTTP/1.1\r\nHost: own.example:8081\r\n{fields}\r\n");
        let mut storage = HeaderStorage::new();
        let request = Request::parse(head.as_bytes(), &mut storage, &LIMITS).unwrap();
        origins.admit(&request, loading)
    }

    #[test]
    fn the_page_of_a_request_decides() {
        let origins = list(&["https://good.example", "http://*.many.example:8080"]);
        let all = [Loading::Script, Loading::EventSource, Loading::Element];
        // Fields, and whether the request passes for each way of loading.
        let cases: [(&str, [bool; 3]); 25] = [
            ("Origin: https://good.example\r\n", [true; 3]),
            ("Origin: http://a.many.example:8080\r\n", [true; 3]),
            ("Origin: http://a.b.many.example:8080\r\n", [true; 3]),
            ("Origin: http://many.example:8080\r\n", [false; 3]),
            ("Origin: http://.many.example:8080\r\n", [false; 3]),
            ("Origin: http://evil/.many.example:8080\r\n", [false; 3]),
            ("Origin: http://a@b.many.example:8080\r\n", [false; 3]),
            ("Origin: http://a.many.example\r\n", [false; 3]),
            ("Origin: https://good.example.evil\r\n", [false; 3]),
            ("Origin: https://GOOD.example\r\n", [false; 3]),
            ("Origin: http://own.example:8081\r\n", [false; 3]),
            ("Origin: null\r\n", [false; 3]),
            ("Origin:\r\n", [false; 3]),
            ("Origin: https://good.example\r\nOrigin: https://good.example\r\n", [false; 3]),
            ("Sec-WebSocket-Origin: https://good.example\r\n", [true; 3]),
            ("Sec-WebSocket-Origin: https://evil.example\r\n", [false; 3]),
            ("Origin: https://evil.example\r\nReferer: https://good.example/\r\n", [false; 3]),
            ("Referer: https://good.example/page?q=http://x/\r\n", [true; 3]),
            ("Referer: https://good.example\r\nSec-Fetch-Site: cross-site\r\n", [true; 3]),
            ("Referer: https://evil.example/https://good.example/\r\n", [false; 3]),
            ("Referer: about:client\r\n", [false; 3]),
            ("Sec-Fetch-Site: cross-site\r\n", [false; 3]),
            ("Sec-Fetch-Site: same-site\r\n", [false; 3]),
            ("Sec-Fetch-Site: same-origin\r\n", [false; 3]),
            ("Referer:\r\nSec-Fetch-Site: none\r\n", [true, true, false]),
        ];
        for (fields, expected) in cases {
            assert_eq!(all.map(|loading| admits(&origins, fields, loading)), expected, "{fields}");
        }
    }

    #[test]
    fn a_request_that_names_no_page_passes_where_no_element_of_a_page_loads_the_answer() {
        let origins = list(&["https://good.example"]);
        for (fields, loading, expected) in [
            ("", Loading::Script, true),
            ("", Loading::EventSource, true),
            ("", Loading::Element, false),
            ("Accept-Language: en\r\n", Loading::Script, true),
            ("Accept-Language: en\r\n", Loading::EventSource, false),
            ("Accept-Language:\r\n", Loading::EventSource, false),
            ("User-Agent: Mozilla/5.0 (X11)\r\n", Loading::EventSource, false),
            ("User-Agent: curl/8\r\n", Loading::EventSource, true),
        ] {
            assert_eq!(admits(&origins, fields, loading), expected, "{loading:?} {fields}");
        }
    }

    #[test]
    fn a_page_of_the_servers_own_origin_passes_where_that_origin_is_listed() {
        let field = "Sec-Fetch-Site: same-origin\r\n";
        for (entry, expected) in [
            ("http://own.example:8081", true),
            ("https://own.example:8081", true),
            ("https://*.example:8081", true),
            ("https://own.example", false),
            ("https://own.example:8082", false),
            ("null", false),
        ] {
            assert_eq!(admits(&list(&[entry]), field, Loading::Element), expected, "{entry}");
        }
    }

    #[test]
    fn an_opaque_origin_passes_where_it_is_listed_and_everything_where_nothing_is() {
        assert!(admits(&list(&["null"]), "Origin: null\r\n", Loading::Element));
        assert!(admits(&Origins::default(), "Origin: https://evil.example\r\n", Loading::Element));
    }

    #[test]
    fn the_policy_of_frames_names_the_list() {
        assert_eq!(Origins::default().frame_policy(), None);
        let policy = list(&["https://a.example", "null", "http://*.b.example:81"]).frame_policy();
        assert_eq!(policy.unwrap(), "frame-ancestors https://a.example http://*.b.example:81");
        assert_eq!(list(&["null"]).frame_policy().unwrap(), "frame-ancestors 'none'");
    }

    #[test]
    fn entries_are_origins_as_browsers_send_them() {
        for entry in [
            "https://example.org",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]",
            "http://[::1]:8080",
            "https://*.example.org",
            "https://*.example.org:8443",
            "capacitor://localhost",
            "chrome-extension://abcdef",
            "http://example.org:443",
            "http://127.0.0.1:8080",
            "http://[2001:db8::1:0:0:1]",
            "http://[::ffff:102:304]",
            "http://[::102:304]",
            "http://0x7f.example",
            "http://0xg",
            "null",
        ] {
            assert!(Origins::new(&[entry.to_owned()]).is_ok(), "{entry}");
        }
        for (entry, part) in [
            ("", "scheme://host"),
            (" ", "white space"),
            ("*", "leave the list empty"),
            ("example.org", "scheme://host"),
            ("https://", "its host"),
            ("https://example.org/", "no slash"),
            ("https://example.org/chat", "no path"),
            ("https://user@example.org", "no user"),
            ("https://example.org?", "no path"),
            ("https://Example.org", "lower case"),
            ("HTTPS://example.org", "lower case"),
            ("https://example.org:443", "by default"),
            ("http://example.org:80", "by default"),
            ("http://example.org:", "port"),
            ("http://example.org:0", "port"),
            ("http://example.org:080", "port"),
            ("http://example.org:65536", "port"),
            ("http://example.org:+8", "port"),
            ("https://a.example https://b.example", "one origin"),
            ("https://a.example,https://b.example", "one origin"),
            ("'self'", "quotes"),
            ("https://*", "asterisk"),
            ("https://a.*.example", "asterisk"),
            ("https://*.*.example", "asterisk"),
            ("https://*.", "its host"),
            ("https://bücher.example", "xn--"),
            ("https://a..example", "its host"),
            ("https://.example", "its host"),
            ("https://*..example", "its host"),
            ("http://[::1", "IPv6"),
            ("http://[::g]", "IPv6"),
            ("http://[0:0::1]", "IPv6 serializer"),
            ("http://[::0001]", "IPv6 serializer"),
            ("http://[::ffff:1.2.3.4]", "IPv6 serializer"),
            ("http://127.1", "four decimal"),
            ("http://2130706433", "four decimal"),
            ("http://0x7f.1", "four decimal"),
            ("http://127.0.0.0x1", "four decimal"),
            ("http://127.0.0.01", "four decimal"),
            ("http://127.0.0.1.", "four decimal"),
            ("http://256.1.1.1", "four decimal"),
            ("http://a.example.0x", "four decimal"),
            ("http://*.0.0.1", "four decimal"),
            ("ws://example.org", "http or https"),
            ("wss://example.org:8443", "http or https"),
            ("1http://example.org", "scheme"),
            ("://example.org", "scheme"),
        ] {
            let error = Origins::new(&[entry.to_owned()]).unwrap_err();
            assert_eq!(error.entry(), entry);
            assert!(error.rule().contains(part), "{error}");
            assert_eq!(
                error.to_string(),
                format!("{entry:?} is not an origin: {} (RFC 6454 §6.2)", error.rule())
            );
        }
    }
}
