//! Shows one port for everything: a page, a health check and counters for a monitor, beside a SockJS endpoint that
//! admits only sessions with the token.
//!
//! To see it: `cargo run --example http_and_sockjs [ADDRESS]`, and open <http://127.0.0.1:8081/>, which has the token
//! and shows an echo; then `/health` and `/counters`.

#[path = "client/mod.rs"]
mod client;

use std::sync::Arc;

use client::Client;
use sockjs_server::{Body, Context, Handler, Refusal, Request, Response, Server, ServerOptions, Session};

const TOKEN: &str = "open-sesame";

/// The page gives the token in the query; it comes back with every request of the session.
const PAGE: &str = r#"<!DOCTYPE html>
<meta charset="UTF-8">
<title>Echo</title>
<p>The echo: <output id="echo"></output></p>
<script>
  // Called when the client library is there.
  function start() {
    const show = (text) => { document.getElementById("echo").textContent = text; };
    const sock = new SockJS("/echo?token=open-sesame");
    sock.onopen = () => sock.send("hello");
    sock.onmessage = (event) => show(event.data);
    sock.onclose = (event) => show(`closed: ${event.code} ${event.reason}`);
  }
</script>
{{CLIENT}}
"#;

struct Echo;

impl Handler for Echo {
    /// Runs before a session exists, whatever the transport. Cookies, headers and the peer's address are there too.
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        match request.query_parameter("token").as_deref() {
            Some(TOKEN) => Ok(()),
            _ => Err(Refusal::status(403)),
        }
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let _ = session.send(text);
    }
}

/// Whatever is asked outside of the endpoints.
fn answer(client: &Client, page: &Arc<str>, context: &Context<'_>, request: &Request<'_>) -> Response {
    let (kind, body) = match request.path() {
        "/" => ("text/html; charset=UTF-8", Body::from(Arc::clone(page))),
        "/health" => ("text/plain; charset=UTF-8", "ok\n".into()),
        "/counters" => ("text/plain; charset=UTF-8", counters(context).into()),
        path => return client.answer(path).unwrap_or(Response::new(404)),
    };
    match request.method() {
        "GET" | "HEAD" => Response::new(200).header("Content-Type", kind).body(body),
        _ => Response::new(405).header("Allow", "GET, HEAD"),
    }
}

/// In the text format of Prometheus.
fn counters(context: &Context<'_>) -> String {
    let counters = context.counters();
    let lines = [
        ("connections", counters.connections as u64),
        ("sessions", counters.sessions as u64),
        ("sessions_opened_total", counters.opened),
        ("messages_in_total", counters.messages_in),
        ("messages_out_total", counters.messages_out),
        ("refused_total", counters.refused.total()),
    ];
    lines.iter().map(|(name, value)| format!("sockjs_{name} {value}\n")).collect()
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let client = Client::from_env()?;
    let page = client.page(PAGE);
    let mut server = Server::new(ServerOptions::default())?;
    server.mount("/echo", Echo)?;
    server.fallback(move |context, request, _| answer(&client, &page, context, request));
    println!("Listening on http://{}/", server.listen(address)?);
    server.run()
}
