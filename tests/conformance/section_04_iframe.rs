//! Section 4: the page that clients load into a hidden iframe.

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::target::Target;

pub const RULES: &[Rule] = &[
    rule("4", "200, text/html, a quoted ETag, no Last-Modified, no cookie", labels),
    rule("4", "the body is the page of the contract, but for the URL of the client", page),
    rule("4", "`iframe*.html` takes any version of [0-9a-z._-]: all are the same page", versions),
    rule("4", "If-None-Match that lists the ETag: 304 without body and Content-Type", not_modified),
    rule("4", "If-None-Match that lists other tags only: 200", modified),
    here("4", "the URL of the client is an option, HTML-escaped", client_url),
];

const PAGE: [&str; 2] = [
    r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src=""#,
    r#""></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#,
];

/// The URL in a page that is as it should be.
fn url_in(page: &str) -> &str {
    let inner = page.strip_prefix(PAGE[0]).and_then(|rest| rest.trim_end_matches('\n').strip_suffix(PAGE[1]));
    inner.unwrap_or_else(|| panic!("not the page: {page}"))
}

fn etag(target: &Target) -> String {
    target.get("/echo/iframe.html").expect(200).header("ETag").expect("an ETag").to_owned()
}

fn labels(target: &Target) {
    for endpoint in ["/echo", "/cookie_needed_echo"] {
        let answer = target.get(&format!("{endpoint}/iframe.html")).expect(200);
        let tag = answer.header("ETag").expect("an ETag").trim_start_matches("W/");
        let bare = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("ETag is quoted");
        assert!(!bare.is_empty() && !bare.contains('"'), "{tag}");
        answer
            .expect_header("Content-Type", "text/html; charset=UTF-8")
            .expect_header("Last-Modified", None)
            .expect_header("Set-Cookie", None);
    }
}

fn page(target: &Target) {
    let answer = target.get("/echo/iframe.html").expect(200);
    let url = url_in(answer.text());
    assert!(!url.is_empty() && !url.contains(['"', '<', '>']), "an escaped URL: {url}");
}

fn versions(target: &Target) {
    let page = target.get("/echo/iframe.html").expect(200);
    for version in ["-a", "-", "_", "-0.1.2", "-0.1.2abc-dirty.2144", ".", "0", "-1.6.1.html"] {
        let other = target.get(&format!("/echo/iframe{version}.html")).expect(200);
        assert_eq!(other.body, page.body, "{version}");
        assert_eq!(other.header("ETag"), page.header("ETag"), "{version}");
    }
    for version in ["-A", "-/", "-a b", "-a%20b", "-\u{e9}", "-a+", "-a~"] {
        let mut connection = target.connect();
        let path = format!("/echo/iframe{version}.html");
        connection.request("GET", &path, "", b"");
        let status = connection.head().status;
        // A space, and bytes that are no ASCII, make it no target at all.
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
}

fn not_modified(target: &Target) {
    let tag = etag(target);
    for list in [tag.clone(), format!("\"other\", {tag}"), format!("\"a\",{tag} , \"b\""), format!("W/{tag}")]
    {
        let mut connection = target.connect();
        connection
            .ask("GET", "/echo/iframe.html", &format!("If-None-Match: {list}\r\n"), b"")
            .expect(304)
            .expect_header("Content-Type", None)
            .expect_header("Last-Modified", None);
        // A body would stand before this answer.
        connection.ask("GET", "/echo", "", b"").expect(200);
    }
}

fn modified(target: &Target) {
    let tag = etag(target);
    for other in
        ["\"other\"".to_owned(), "\"\"".to_owned(), tag.replace('"', "x"), format!("\"x{}", &tag[1..])]
    {
        let answer =
            target.ask("GET", "/echo/iframe.html", &format!("If-None-Match: {other}\r\n"), b"").expect(200);
        url_in(answer.text());
    }
}

fn client_url() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        server.mount_with("/usual", options.clone(), |_: &mut Session<'_>, _: &str| {}).expect("mount");
        options.client_url = "/a.js?b&c=\"><script>".into();
        server.mount_with("/own", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let target = Target::at(server.address);
    let usual = target.get("/usual/iframe.html");
    assert_eq!(url_in(usual.text()), "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js");
    let own = target.get("/own/iframe.html");
    assert_eq!(url_in(own.text()), "/a.js?b&amp;c=&quot;&gt;&lt;script&gt;");
    assert_ne!(own.header("ETag"), usual.header("ETag"), "another page has another ETag");
}
