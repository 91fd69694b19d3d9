//! A game that owns its thread: sixty ticks a second, and what is left of each belongs to the server.
//!
//! Players send `left`, `right` or `stop`; after every tick all are told where everybody is.
//!
//! `cargo run --example game_loop [ADDRESS]`

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use sockjs_server::{Close, Handler, Request, Server, ServerOptions, Session, SessionId};

const TICK: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// What players did since the last tick.
enum Input {
    Joined(SessionId),
    Steers(SessionId, i64),
    Left(SessionId),
}

/// The server's side of the game only notes what happens. The world is the loop's.
struct Players {
    inputs: Sender<Input>,
}

impl Players {
    fn note(&self, input: Input) {
        // It fails when the loop has ended, and then nobody plays.
        let _ = self.inputs.send(input);
    }
}

impl Handler for Players {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        self.note(Input::Joined(session.id()));
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let speed = match text {
            "left" => -1,
            "right" => 1,
            _ => 0,
        };
        self.note(Input::Steers(session.id(), speed));
    }

    fn on_close(&mut self, session: &mut Session<'_>, _: &Close) {
        self.note(Input::Left(session.id()));
    }
}

struct Player {
    id: SessionId,
    place: i64,
    speed: i64,
}

#[derive(Default)]
struct World {
    players: Vec<Player>,
}

impl World {
    fn tick(&mut self, inputs: &Receiver<Input>) {
        for input in inputs.try_iter() {
            match input {
                Input::Joined(id) => self.players.push(Player { id, place: 0, speed: 0 }),
                Input::Steers(id, speed) => {
                    self.players
                        .iter_mut()
                        .filter(|player| player.id == id)
                        .for_each(|player| player.speed = speed);
                }
                Input::Left(id) => self.players.retain(|player| player.id != id),
            }
        }
        for player in &mut self.players {
            player.place += player.speed;
        }
    }

    fn describe(&self) -> String {
        let places = self.players.iter().map(|player| format!("{} at {}", player.id, player.place));
        places.collect::<Vec<_>>().join(", ")
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    let (sender, inputs) = mpsc::channel();
    let game = server.mount("/game", Players { inputs: sender })?;
    println!("Listening on http://{}/game", server.listen(address)?);

    let mut world = World::default();
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
        world.tick(&inputs);
        if !world.players.is_empty() {
            server.endpoint(game).broadcast(&world.describe());
        }
    }
}
