//! Shows state of a handler and of each session, and broadcasts: a chat in which everybody hears who joins, who says
//! what, and who leaves. `handler.rs` is the chat, `page.html` its page.
//!
//! To see it: `cargo run --example chat [ADDRESS]`, and open <http://127.0.0.1:8081/> in two tabs.

#[path = "../client/mod.rs"]
mod client;
mod handler;

use std::sync::Arc;

use client::Client;
use handler::Chat;
use sockjs_server::{Response, Server, ServerOptions};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let client = Client::from_env()?;
    let page = client.page(include_str!("page.html"));
    let mut server = Server::new(ServerOptions::default())?;
    server.mount("/chat", Chat::default())?;
    server.fallback(move |_, request, _| match request.path() {
        "/" => Response::new(200).header("Content-Type", "text/html; charset=UTF-8").body(Arc::clone(&page)),
        path => client.answer(path).unwrap_or(Response::new(404)),
    });
    println!("Listening on http://{}/", server.listen(address)?);
    server.run()
}
