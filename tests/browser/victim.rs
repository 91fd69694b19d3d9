//! A server whose endpoints list who may use them, and which says what reached them all the same; and another one, for
//! the pages of other origins.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sockjs_server::{Body, EndpointOptions, Handler, Request, Response, Server, ServerOptions, Session};

use super::RUN;
use crate::support::TestServer;

/// What every session of an attacked endpoint is sent first, and no hostile page may read.
const SECRET: &str = "the secret";

/// How long a session of an attacked endpoint lives: more than an attack takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// One endpoint for each attack, so that what an attack does is told from what the others do: handlers do not see the
/// names of sessions, and the released client chooses them itself.
const ATTACKS: usize = 80;

/// The cookie of the victim, who has been here before.
const LOGIN: &str = "victim=yes; path=/";

/// What reached an endpoint, by its prefix, since somebody last asked.
type Seen = Arc<Mutex<BTreeMap<String, Visits>>>;

#[derive(Default)]
struct Visits {
    opened: usize,
    with_cookie: usize,
    messages: Vec<String>,
    /// The head of each request: only where there is no endpoint, but a path that records.
    heads: Vec<Value>,
}

fn visits(seen: &Seen, prefix: &str, note: impl FnOnce(&mut Visits)) {
    note(seen.lock().unwrap_or_else(PoisonError::into_inner).entry(prefix.to_owned()).or_default());
}

/// Tells each session the secret, and all of them what one says.
struct Chat {
    prefix: String,
    secret: Option<&'static str>,
    seen: Seen,
}

impl Handler for Chat {
    fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
        if request.query_parameter("leaked").is_some() {
            return;
        }
        let cookie = request.cookie("victim").is_some();
        visits(&self.seen, &self.prefix, |visits| {
            visits.opened += 1;
            visits.with_cookie += usize::from(cookie);
        });
        if let Some(secret) = self.secret {
            session.send(secret).expect("there is room");
            // Browsers have few connections to a server: what a page leaves behind must not hold them.
            session.set_timer(0, PATIENCE);
        }
    }

    fn on_timer(&mut self, session: &mut Session<'_>, _: u32) {
        session.close(3000, "Too late");
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        visits(&self.seen, &self.prefix, |visits| visits.messages.push(text.to_owned()));
        session.broadcast(text);
    }
}

/// The scripts that a page can load, by their path.
#[derive(Clone)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// `client` at `/sockjs.js`, where an iframe page finds it too, and the scripts of `folder`.
    pub fn new(client: &Path, folder: &Path) -> Self {
        let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let scripts = ["client.js", "hostile_page.js"];
        let mut files: BTreeMap<_, _> =
            scripts.map(|name| (format!("/{name}"), read(&folder.join(name)))).into_iter().collect();
        files.insert("/sockjs.js".to_owned(), read(client));
        Self(files)
    }

    /// Answers what is no endpoint's, whatever the host is called: a page needs no more than a name that leads here.
    fn answer(&self, request: &Request<'_>) -> Response {
        let query = request.query().unwrap_or_default();
        let path = request.path();
        if let Some(script) = self.0.get(path) {
            return Response::new(200).header("Content-Type", "application/javascript").body(script.clone());
        }
        // The server of a page can send on whatever is asked of it.
        if path == "/redirect" {
            return Response::new(307).header("Location", query);
        }
        // The answer to `/info` that sends the released client elsewhere.
        if let Some(host) = path.strip_prefix("/lure/").and_then(|rest| rest.strip_suffix("/info")) {
            let info = json!({ "websocket": true, "origins": ["*:*"], "cookie_needed": true, "entropy": 1,
                "base_url": format!("http://{host}") });
            return Response::new(200).header("Content-Type", "application/json").body(info.to_string());
        }
        match path {
            "/page" => html(page(query)),
            "/login" => html("<!doctype html>").header("Set-Cookie", LOGIN),
            _ => Response::new(404),
        }
    }
}

fn html(body: impl Into<Body>) -> Response {
    Response::new(200).header("Content-Type", "text/html; charset=UTF-8").body(body)
}

/// A page with everything in it; what the query says is its policy for `Referer`.
fn page(policy: &str) -> String {
    let meta = if policy.is_empty() {
        String::new()
    } else {
        format!(r#"<meta name="referrer" content="{policy}">"#)
    };
    let scripts: String = ["sockjs", "client", "hostile_page"]
        .map(|name| format!(r#"<script src="/{name}.js"></script>"#))
        .concat();
    format!(
        r#"<!doctype html><meta charset="utf-8">{meta}<link rel="icon" href="data:,"><body>{scripts}</body>"#
    )
}

/// Serves pages, and nothing of SockJS.
pub fn pages(files: Files) -> TestServer {
    TestServer::start(ServerOptions::default(), |server| {
        server.fallback(move |_, request, _| files.answer(request));
    })
}

/// The endpoints, for pages of `listed` and of the server's own origin, by each of these host names.
pub fn victim(files: Files, listed: &str, own_hosts: &[&str]) -> TestServer {
    TestServer::start(ServerOptions::default(), |server| {
        let port = server.addresses()[0].port();
        let mut options = EndpointOptions::default();
        options.client_url = "/sockjs.js".to_owned();
        // Inside of the iframe page requests have the server's own origin (section 2).
        options.origins = own_hosts.iter().map(|host| format!("http://{host}:{port}")).collect();
        options.origins.push(listed.to_owned());
        let seen = Seen::default();
        mount(server, "/echo".to_owned(), &options, None, &seen);
        // The sessions that the script opens for pages to send to wait for them.
        options.disconnect_delay = RUN;
        // Without a list, to show that an attack is one.
        let mut open = options.clone();
        open.origins.clear();
        for number in 0..ATTACKS {
            mount(server, format!("/chat/{number}"), &options, Some(SECRET), &seen);
            mount(server, format!("/open/{number}"), &open, Some(SECRET), &seen);
        }
        server.fallback(move |_, request, _| match request.path() {
            "/seen" => tell(&seen),
            path if path.starts_with("/record/") => record(&seen, request),
            _ => files.answer(request),
        });
    })
}

fn mount(
    server: &mut Server,
    prefix: String,
    options: &EndpointOptions,
    secret: Option<&'static str>,
    seen: &Seen,
) {
    let chat = Chat { prefix: prefix.clone(), secret, seen: Arc::clone(seen) };
    server.mount_with(&prefix, options.clone(), chat).expect("mount");
}

/// Everything that was seen, which is then forgotten.
fn tell(seen: &Seen) -> Response {
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let visits = seen.into_iter().map(|(prefix, visits)| {
        let Visits { opened, with_cookie, messages, heads } = visits;
        let visits = json!({ "opened": opened, "cookie": with_cookie, "messages": messages, "heads": heads });
        (prefix, visits)
    });
    let visits = Value::Object(visits.collect());
    Response::new(200).header("Content-Type", "application/json").body(visits.to_string())
}

/// Notes by which header fields a server could tell a page's request from another. Below `/record/NUMBER`.
fn record(seen: &Seen, request: &Request<'_>) -> Response {
    let path = request.path();
    let (start, below) = match path["/record/".len()..].find('/') {
        Some(end) => path.split_at("/record/".len() + end),
        None => (path, ""),
    };
    let fields: BTreeMap<_, _> = request
        .headers()
        .map(|(name, value)| (name.to_ascii_lowercase(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    let head = json!({ "method": request.method(), "path": below, "fields": fields });
    visits(seen, start, |visits| visits.heads.push(head));
    if below == "/iframe.html" {
        // As much of the real one as makes requests from inside of it.
        return html("<script src=/sockjs.js></script><script>SockJS.bootstrap_iframe();</script>");
    }
    Response::new(200).header("Content-Type", "text/plain")
}
