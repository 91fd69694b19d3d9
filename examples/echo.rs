//! Shows the shortest server: every message goes back to where it came from.
//!
//! To see it: `cargo run --example echo [ADDRESS]`, and `websocat ws://127.0.0.1:8081/echo/websocket`, or any other
//! WebSocket client; or a page with `new SockJS("http://127.0.0.1:8081/echo")`.

use sockjs_server::{Server, ServerOptions, Session};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    server.mount("/echo", |session: &mut Session<'_>, text: &str| {
        // A client that never reads loses what its queue does not take.
        let _ = session.send(text);
    })?;
    println!("Listening on http://{}/echo", server.listen(address)?);
    server.run()
}
