//! A chat: open the page in two tabs. Everybody hears who joins, who says what, and who leaves.
//!
//! `cargo run --example chat [ADDRESS]`

use sockjs_server::{Close, Handler, Refusal, Request, Response, Server, ServerOptions, Session};

/// The handler's own state, shared by all who chat.
#[derive(Default)]
struct Chat {
    guests: usize,
}

/// What is kept with each session: typed, and dropped with it.
struct Guest {
    name: String,
}

impl Handler<Guest> for Chat {
    fn admit(&mut self, _: &Request<'_>) -> Result<Guest, Refusal> {
        self.guests += 1;
        Ok(Guest { name: format!("guest {}", self.guests) })
    }

    fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
        session.broadcast_others(&format!("{} joined", session.state().name));
        let present = session.endpoint().session_count();
        // A session that has just opened has room.
        let _ = session.send(&format!("you are {}, {present} here", session.state().name));
    }

    fn on_message(&mut self, session: &mut Session<'_, Guest>, text: &str) {
        session.broadcast(&format!("{}: {text}", session.state().name));
    }

    fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
        // A session that has closed is not among those that hear it.
        session.broadcast(&format!("{} left", session.state().name));
    }
}

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
