//! Shows groups of sessions: a lobby with tables to play at, players and spectators, and a host who may kick.
//!
//! To see it: `cargo run --example rooms [ADDRESS]`, then `websocat ws://127.0.0.1:8081/rooms/websocket` in several
//! terminals, and send
//!
//! | message | |
//! |---|---|
//! | `play TABLE` | sits down as one of two players; the first of them is the host |
//! | `watch TABLE` | becomes a spectator |
//! | `kick NAME` | the host sends that guest back to the lobby |
//! | `leave` | goes back to the lobby |
//! | anything else | is said: by a player or a spectator at the table, else in the lobby |
//!
//! The place of a guest is kept nowhere but in the groups: `lobby`, `table TABLE` for all
//! guests at it, and `players TABLE`.

use sockjs_server::{Close, Endpoint, Handler, JoinError, Refusal, Request, Server, Session, SessionId};

const LOBBY: &str = "lobby";

/// Players at a table.
const SEATS: usize = 2;

#[derive(Default)]
struct Rooms {
    count: usize,
}

struct Guest {
    name: String,
}

type Room<'a> = Session<'a, Guest>;

fn all_at(table: &str) -> String {
    format!("table {table}")
}

fn players_at(table: &str) -> String {
    format!("players {table}")
}

/// The table at which a guest is.
fn table_of(endpoint: &Endpoint<'_, Guest>, guest: SessionId) -> Option<String> {
    endpoint.groups_of(guest).iter().find_map(|name| Some(name.strip_prefix("table ")?.to_owned()))
}

/// Takes a guest to a table, as a player or as a spectator.
fn sit_down(session: &mut Room<'_>, table: &str, plays: bool) -> Result<(), JoinError> {
    let id = session.id();
    if let Some(before) = table_of(&session.endpoint(), id) {
        get_up(&mut session.endpoint(), id, &before);
        let text = format!("{} left", session.state().name);
        session.publish(&all_at(&before), &text);
    }
    session.join(&all_at(table))?;
    session.leave(LOBBY);
    if plays {
        session.join(&players_at(table))?;
    }
    let role = if plays { "plays" } else { "watches" };
    let text = format!("{} {role}", session.state().name);
    session.publish(&all_at(table), &text);
    Ok(())
}

/// Takes a guest from its table back to the lobby.
fn get_up(endpoint: &mut Endpoint<'_, Guest>, guest: SessionId, table: &str) {
    endpoint.leave(guest, &players_at(table));
    endpoint.leave(guest, &all_at(table));
    // It has left two groups, so that there is room for this one.
    let _ = endpoint.join(guest, LOBBY);
}

impl Rooms {
    fn play(&self, session: &mut Room<'_>, table: &str) -> Result<(), String> {
        let players = players_at(table);
        if session.is_member(&players) {
            return Err("you play here already".to_owned());
        }
        if session.endpoint().member_count(&players) >= SEATS {
            return Err(format!("table {table} is full: watch {table}"));
        }
        sit_down(session, table, true).map_err(|error| error.to_string())
    }

    fn leave(&self, session: &mut Room<'_>) -> Result<(), String> {
        let id = session.id();
        let table = table_of(&session.endpoint(), id).ok_or("you are in the lobby")?;
        let text = format!("{} left", session.state().name);
        session.publish(&all_at(&table), &text);
        get_up(&mut session.endpoint(), id, &table);
        Ok(())
    }

    fn kick(&self, session: &mut Room<'_>, name: &str) -> Result<(), String> {
        let id = session.id();
        let mut endpoint = session.endpoint();
        let table = table_of(&endpoint, id).ok_or("you are in the lobby")?;
        if endpoint.members(&players_at(&table)).first() != Some(&id) {
            return Err("only the host may kick".to_owned());
        }
        let guests = endpoint.members(&all_at(&table)).into_iter();
        let mut named = guests.filter(|guest| endpoint.state(*guest).is_some_and(|guest| guest.name == name));
        let kicked = named.next().ok_or_else(|| format!("{name} is not here"))?;
        endpoint.publish(&all_at(&table), &format!("{name} was kicked"));
        get_up(&mut endpoint, kicked, &table);
        Ok(())
    }

    fn say(&self, session: &mut Room<'_>, text: &str) -> Result<(), String> {
        let id = session.id();
        let table = table_of(&session.endpoint(), id);
        let group = table.map_or(LOBBY.to_owned(), |table| all_at(&table));
        let text = format!("{}: {text}", session.state().name);
        session.publish(&group, &text);
        Ok(())
    }
}

impl Handler<Guest> for Rooms {
    fn admit(&mut self, _: &Request<'_>) -> Result<Guest, Refusal> {
        self.count += 1;
        Ok(Guest { name: format!("guest-{}", self.count) })
    }

    fn on_open(&mut self, session: &mut Room<'_>, _: &Request<'_>) {
        // The first group of a session that has just opened, which has room too.
        let _ = session.join(LOBBY);
        let _ = session.send(format!("you are {}", session.state().name));
    }

    fn on_message(&mut self, session: &mut Room<'_>, text: &str) {
        let outcome = match text.split_once(' ').unwrap_or((text, "")) {
            (order @ ("play" | "watch" | "kick"), "") => Err(format!("{order} whom, or where?")),
            ("play", table) => self.play(session, table),
            ("watch", table) => sit_down(session, table, false).map_err(|error| error.to_string()),
            ("kick", name) => self.kick(session, name),
            ("leave", "") => self.leave(session),
            _ => self.say(session, text),
        };
        if let Err(error) = outcome {
            // A guest that does not read misses the answers.
            let _ = session.send(error);
        }
    }

    fn on_close(&mut self, session: &mut Room<'_>, _: &Close) {
        let id = session.id();
        // It is no member any more, and was one until it closed.
        if let Some(table) = table_of(&session.endpoint(), id) {
            session.publish(&all_at(&table), &format!("{} left", session.state().name));
        }
    }

    fn on_group_start(&mut self, endpoint: &mut Endpoint<'_, Guest>, name: &str) {
        if name.starts_with("table ") {
            endpoint.publish(LOBBY, &format!("{name} opens"));
        }
    }

    fn on_group_end(&mut self, endpoint: &mut Endpoint<'_, Guest>, name: &str) {
        if name.starts_with("table ") {
            endpoint.publish(LOBBY, &format!("{name} closes"));
        }
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::bind(address)?;
    server.mount("/rooms", Rooms::default())?;
    for address in server.addresses() {
        println!("Listening on http://{address}/rooms");
    }
    server.run()
}
