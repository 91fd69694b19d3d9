//! The page that clients load into a hidden iframe to reach another domain (protocol, section 4).
//!
//! In go the URL of the client library and the policy that says which pages may frame it; out come the page and its
//! entity tag, made once for each endpoint.

use super::transport::SET_DOMAIN;

/// The page, with its entity tag and its policy.
#[derive(Clone, Debug)]
pub struct Iframe {
    page: String,
    etag: String,
    policy: Option<String>,
}

impl Iframe {
    /// The page that loads the client library from `client_url`, with the `Content-Security-Policy` of its frames.
    pub fn new(client_url: &str, policy: Option<String>) -> Self {
        let set_domain = if policy.is_none() { SET_DOMAIN } else { "" };
        let page = format!("{START}{}{BEHIND_URL}{set_domain}{END}", escape_attribute(client_url));
        // Chromium does not take a new policy from an answer without the page (304): the tag changes with the policy,
        // so that a page that was kept under an old one is sent again.
        let tagged = [page.as_bytes(), policy.as_deref().unwrap_or_default().as_bytes()].concat();
        let etag = format!("\"{:016x}\"", fnv1a(&tagged));
        Iframe { page, etag, policy }
    }

    /// The page.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The value of `Content-Security-Policy`, if not every page may frame it.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// The page's entity tag, in quotes: the same on every server that serves this page under this policy.
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

/// Whether the value of `If-None-Match` lists `etag` or is `*`, so that the answer is 304.
///
/// Weak tags match too (RFC 9110 §13.1.2), and `etag` must hold no comma.
pub fn matches(etag: &str, if_none_match: &[u8]) -> bool {
    let condition = if_none_match.trim_ascii();
    condition == b"*"
        || condition.split(|&byte| byte == b',').any(|listed| {
            let listed = listed.trim_ascii();
            listed.strip_prefix(b"W/").unwrap_or(listed) == etag.as_bytes()
        })
}

const START: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src=""#;

const BEHIND_URL: &str = r#""></script>
  <script>
"#;

const END: &str = r#"    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;

/// The text as it stands in a quoted attribute's value.
fn escape_attribute(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// FNV-1a: a page differs from another only by what its operator configured, so no attacker looks for
/// collisions.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_byte_for_byte() {
        let expected = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;
        let iframe = Iframe::new("https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js", None);
        assert_eq!(iframe.page(), expected);
    }

    #[test]
    fn a_page_that_not_every_page_may_frame_is_not_open_to_its_host() {
        let closed = Iframe::new("/a", Some("frame-ancestors https://a.example".to_owned()));
        let open = Iframe::new("/a", None);
        assert_eq!(closed.page(), open.page().replace("    document.domain = document.domain;\n", ""));
        assert_ne!(closed.page(), open.page());
        assert_eq!(closed.policy(), Some("frame-ancestors https://a.example"));
        assert_eq!(open.policy(), None);
    }

    #[test]
    fn the_url_cannot_leave_its_attribute() {
        let iframe = Iframe::new("/a?b=1&c='\"><script>", None);
        assert!(
            iframe.page().contains("<script src=\"/a?b=1&amp;c=&#39;&quot;&gt;&lt;script&gt;\"></script>")
        );
    }

    #[test]
    fn the_tag_follows_the_page() {
        assert_eq!(Iframe::new("/a", None).etag(), Iframe::new("/a", None).etag());
        assert_ne!(Iframe::new("/a", None).etag(), Iframe::new("/b", None).etag());
        let framed = |policy: &str| Iframe::new("/a", Some(policy.to_owned()));
        assert_ne!(framed("frame-ancestors https://a.example").etag(), Iframe::new("/a", None).etag());
        assert_ne!(
            framed("frame-ancestors https://a.example").etag(),
            framed("frame-ancestors https://b.example").etag()
        );
        // Test vectors of the hash's authors.
        assert_eq!(fnv1a(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_F739_67E8);
        let etag = Iframe::new("/a", None).etag().to_owned();
        assert_eq!(etag.len(), 18);
        assert!(etag.starts_with('"') && etag.ends_with('"'));
    }

    #[test]
    fn conditions() {
        let cases = [
            ("\"tag\"", true),
            ("W/\"tag\"", true),
            ("*", true),
            (" * ", true),
            ("\"other\", \"tag\"", true),
            ("\"other\",W/\"tag\",\"more\"", true),
            ("\t\"tag\" ", true),
            ("", false),
            ("tag", false),
            ("\"tag", false),
            ("\"TAG\"", false),
            ("w/\"tag\"", false),
            ("W/W/\"tag\"", false),
            ("\"tag\"x", false),
            ("\"other\"", false),
            ("\"a,*\"", false),
            ("\"other\", *", false),
            ("\"*\"", false),
        ];
        for (if_none_match, expected) in cases {
            assert_eq!(matches("\"tag\"", if_none_match.as_bytes()), expected, "{if_none_match:?}");
        }
    }
}
