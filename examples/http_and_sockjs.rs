//! One port for everything: a page, a health check and counters for a monitor, beside a SockJS endpoint that lets in
//! only who knows the token.
//!
//! `cargo run --example http_and_sockjs [ADDRESS]`

use sockjs_server::{Context, Handler, Refusal, Request, Response, Server, ServerOptions, Session};

const TOKEN: &str = "open-sesame";

/// The page gives the token in the query; it comes back with every request of the session.
const PAGE: &str = r#"<!DOCTYPE html>
<title>Echo</title>
<script src="https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js"></script>
<script>
  const sock = new SockJS("/echo?token=open-sesame");
  sock.onopen = () => sock.send("hello");
  sock.onmessage = (event) => document.body.append(event.data);
</script>
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
fn answer(context: &mut Context<'_>, request: &Request<'_>, _body: &[u8]) -> Response {
    let (kind, body) = match request.path() {
        "/" => ("text/html; charset=UTF-8", PAGE.to_owned()),
        "/health" => ("text/plain; charset=UTF-8", "ok\n".to_owned()),
        "/counters" => ("text/plain; charset=UTF-8", counters(context)),
        _ => return Response::new(404),
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
    let mut server = Server::new(ServerOptions::default())?;
    server.mount("/echo", Echo)?;
    server.fallback(answer);
    println!("Listening on http://{}/", server.listen(address)?);
    server.run()
}
