//! A chat: open the page in two tabs. Everybody hears who joins, who says what, and who leaves.
//!
//! `cargo run --example chat [ADDRESS]`

mod handler;

use handler::Chat;
use sockjs_server::{Response, Server, ServerOptions};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    server.mount("/chat", Chat::default())?;
    server.fallback(|_, request, _| match request.path() {
        "/" => Response::new(200)
            .header("Content-Type", "text/html; charset=UTF-8")
            .body(include_str!("page.html")),
        _ => Response::new(404),
    });
    println!("Listening on http://{}/", server.listen(address)?);
    server.run()
}
