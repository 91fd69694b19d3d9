//! Shows a game that owns its thread: sixty ticks a second, and what is left of each belongs to the server.
//!
//! Players send `left`, `right` or `stop`; after every tick all are told where everybody is: sixty lines a second.
//!
//! To see it: `cargo run --example game_loop [ADDRESS]`, and `websocat ws://127.0.0.1:8081/game/websocket`.

use std::time::{Duration, Instant};

use sockjs_server::{Endpoint, Handler, Refusal, Request, Server, ServerOptions, Session};

const TICK: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// The server's side of the game only notes what players want.
struct Players;

/// What is kept with each session. The loop has it in its hands between two turns.
#[derive(Default)]
struct Player {
    place: i64,
    speed: i64,
}

impl Handler<Player> for Players {
    fn admit(&mut self, _: &Request<'_>) -> Result<Player, Refusal> {
        Ok(Player::default())
    }

    fn on_message(&mut self, session: &mut Session<'_, Player>, text: &str) {
        session.state_mut().speed = match text {
            "left" => -1,
            "right" => 1,
            _ => 0,
        };
    }
}

/// Moves everybody, and tells all where everybody is.
fn tick(game: &mut Endpoint<'_, Player>) {
    let mut places = Vec::new();
    for id in game.sessions() {
        if let Some(player) = game.state_mut(id) {
            player.place += player.speed;
            places.push(format!("{id} at {}", player.place));
        }
    }
    game.broadcast(&places.join(", "));
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    let game = server.mount("/game", Players)?;
    println!("Listening on http://{}/game", server.listen(address)?);

    let mut next_tick = Instant::now() + TICK;
    loop {
        // A turn returns when something happened, or when it is time for the tick.
        let left = next_tick.saturating_duration_since(Instant::now());
        server.turn(Some(left))?;
        if Instant::now() < next_tick {
            continue;
        }
        // A late tick moves those after it: the game slows down rather than jumps.
        next_tick = Instant::now().max(next_tick + TICK);
        tick(&mut server.endpoint(game));
    }
}
