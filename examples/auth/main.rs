//! Shows a chat with login: tokens, a list of origins, refusals that the page can read, and the part that SockJS leaves
//! to programs, which is to go on after a lost connection without a line lost or said twice.
//!
//! To see it: `cargo run --example auth [ADDRESS]`, open <http://127.0.0.1:8081/> in two tabs, log in as `ada` and
//! as `charles` (the password is the name), and chat. Then press *Lose the connection* in one of them, and write in
//! both: when it is back, after some seconds, each has what the other said. Restart the program: the pages close with
//! 1006, try again, are told 4001, and ask for the password.
//!
//! | what | sender | |
//! |---|---|---|
//! | `POST /login` with `NAME PASSWORD` | page | answered with a token, also as a cookie |
//! | `/chat?token=TOKEN&after=NUMBER` | page | opens a session; it has the chat's lines up to this one |
//! | `hello NAME COUNT` | chat | its user, and how many of its lines have arrived; behind it, what the page missed |
//! | `gap NUMBER` | chat | in the same message: the lines up to this one are forgotten |
//! | `NUMBER TEXT` | page | its line: 1, 2, 3, ... |
//! | `got NUMBER` | chat | the line has arrived |
//! | `line NUMBER NAME TEXT` | chat | a line of the chat: 1, 2, 3, ... |
//!
//! Both sides number what they say and keep it for a while: the chat the last lines, the page those that
//! are not confirmed. What a login has said and heard belongs to its token, not to its session: a session
//! ends with each lost connection.

#[path = "../client/mod.rs"]
mod client;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::Client;
use sockjs_server::{
    Close, Context, Endpoint, EndpointId, EndpointOptions, Handler, Refusal, Request, Response, Server,
    ServerOptions, Session,
};

/// In place of a database, which holds hashes of passwords (argon2) and not the passwords.
const ACCOUNTS: [(&str, &str); 2] = [("ada", "ada"), ("charles", "charles")];

/// A login is forgotten so long after its last session ended, or at the next sweep behind that.
const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The sweep: the number of the endpoint's timer, and how often.
const SWEEP: u32 = 0;
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The most logins that are remembered.
const LOGINS: usize = 10_000;
/// The most lines that are remembered. With the endpoint's `message_size` this is a bound in bytes, too.
const BACKLOG: usize = 1_000;
const LINE: usize = 4 << 10;

/// The page logs in again.
const LOG_IN: u16 = 4001;
/// The page, or the program, has an error: it does not try again.
const BAD_REQUEST: u16 = 4002;
/// The same login has gone on elsewhere: in another tab, or by a connection that followed this one.
const ELSEWHERE: u16 = 4003;

#[derive(Default)]
struct Chat {
    /// By token.
    logins: HashMap<String, Login>,
    backlog: Backlog,
}

/// What outlives a session.
struct Login {
    name: &'static str,
    /// How many of its lines have arrived.
    arrived: u64,
    /// When its last session ended.
    unused_since: Instant,
}

/// What a session is made with.
struct Guest {
    token: String,
    /// The lines that the page has.
    has: u64,
}

/// The last lines of the chat.
#[derive(Default)]
struct Backlog {
    lines: VecDeque<String>,
    /// The number of the last one.
    last: u64,
}

impl Backlog {
    /// Remembers a line, and gives it back as pages get it.
    fn add(&mut self, name: &str, text: &str) -> &str {
        if self.lines.len() == BACKLOG {
            self.lines.pop_front();
        }
        self.last += 1;
        self.lines.push_back(format!("line {} {name} {text}", self.last));
        self.lines.back().map_or("", String::as_str)
    }

    /// What a page gets that has the lines up to this one, line by line.
    fn since(&self, number: u64) -> String {
        let forgotten = self.last - self.lines.len() as u64;
        let mut text = String::new();
        if number < forgotten {
            text += &format!("\ngap {forgotten}");
        }
        let skip = usize::try_from(number.saturating_sub(forgotten)).unwrap_or(usize::MAX);
        for line in self.lines.iter().skip(skip) {
            text += "\n";
            text += line;
        }
        text
    }
}

/// The group of a login's session: the server knows which session that is, and the program need not.
fn sessions_of(token: &str) -> String {
    format!("login {token}")
}

impl Chat {
    /// A token for this user, or the status of the answer.
    fn log_in(&mut self, name: &str, password: &str) -> Result<String, u16> {
        let (name, _) = ACCOUNTS.into_iter().find(|account| *account == (name, password)).ok_or(403_u16)?;
        if self.logins.len() >= LOGINS {
            return Err(503);
        }
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|_| 500_u16)?;
        let token = format!("{:032x}", u128::from_ne_bytes(secret));
        self.logins.insert(token.clone(), Login { name, arrived: 0, unused_since: Instant::now() });
        Ok(token)
    }

    /// A line of the page. One that was lost on its way comes again, and so may one that was not.
    fn hear(&mut self, session: &mut Session<'_, Guest>, number: u64, text: &str) {
        let Some(login) = self.logins.get_mut(&session.state().token) else {
            return session.close(LOG_IN, "Logged out");
        };
        if number > login.arrived + 1 {
            return session.close(BAD_REQUEST, "A line is missing");
        }
        if number == login.arrived + 1 {
            login.arrived = number;
            session.broadcast(self.backlog.add(login.name, text));
        }
        // A page that does not read does not get it, and hears at its next session how many have arrived.
        let _ = session.send(format!("got {number}"));
    }
}

impl Handler<Guest> for Chat {
    fn admit(&mut self, request: &Request<'_>) -> Result<Guest, Refusal> {
        let token = request.query_parameter("token").or_else(|| request.cookie("token").map(Cow::from));
        let token = token.ok_or(Refusal::close(LOG_IN, "Log in first"))?;
        let login = self.logins.get_mut(&*token).ok_or(Refusal::close(LOG_IN, "Your login has expired"))?;
        login.unused_since = Instant::now();
        let after = request.query_parameter("after").unwrap_or("0".into());
        // A number that was never given is not of this chat: the program was started anew, say.
        let has = after.parse().ok().filter(|number| *number <= self.backlog.last);
        let has = has.ok_or(Refusal::close(BAD_REQUEST, "There is no such line"))?;
        Ok(Guest { token: token.into_owned(), has })
    }

    fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
        let Guest { token, has } = session.state();
        let Some(login) = self.logins.get(token) else { return session.close(LOG_IN, "Logged out") };
        // One message, however many lines: an empty queue takes any, and the page gets all of it or nothing.
        let hello = format!("hello {} {}{}", login.name, login.arrived, self.backlog.since(*has));
        let group = sessions_of(token);
        // The session before may not know yet that its connection is lost.
        for before in session.endpoint().members(&group) {
            session.endpoint().close(before, ELSEWHERE, "You have gone on elsewhere");
        }
        if session.send(&hello).is_err() || session.join(&group).is_err() {
            session.close(1013, "Try again later");
        }
    }

    fn on_message(&mut self, session: &mut Session<'_, Guest>, text: &str) {
        match text.split_once(' ').map(|(number, text)| (number.parse(), text)) {
            // Lines are told apart by line breaks.
            Some((Ok(number), text)) if number > 0 && !text.contains('\n') => {
                self.hear(session, number, text);
            }
            _ => session.close(BAD_REQUEST, "A line is a number and a text"),
        }
    }

    fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
        if let Some(login) = self.logins.get_mut(&session.state().token) {
            login.unused_since = Instant::now();
        }
    }

    /// Forgets the logins that have no session, and had none for long.
    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_, Guest>, _: u32) {
        self.logins.retain(|token, login| {
            login.unused_since.elapsed() < LIFETIME || endpoint.member_count(&sessions_of(token)) > 0
        });
        endpoint.set_timer(SWEEP, SWEEP_EVERY);
    }
}

/// The page, and its login. The chat is in reach here, since all of this happens on one thread.
fn answer(
    chat: EndpointId<Guest>,
    page: &Arc<str>,
    context: &mut Context<'_>,
    request: &Request<'_>,
    body: &[u8],
) -> Response {
    let html = Response::new(200).header("Content-Type", "text/html; charset=UTF-8");
    match (request.method(), request.path()) {
        ("GET" | "HEAD", "/") => html.body(Arc::clone(page)),
        ("POST", "/login") => {
            let credentials = str::from_utf8(body).ok().and_then(|text| text.split_once(' '));
            let Some((name, password)) = credentials else { return Response::new(400) };
            let Some(handler) = context.handler::<Chat>(chat) else { return Response::new(500) };
            match handler.log_in(name, password) {
                Ok(token) => {
                    // Behind a proxy that speaks HTTPS, add `Secure`.
                    let cookie = format!("token={token}; HttpOnly; SameSite=Strict; Path=/chat");
                    let answer = Response::new(200).header("Set-Cookie", &cookie);
                    answer.header("Cache-Control", "no-store").body(token)
                }
                Err(status) => Response::new(status),
            }
        }
        _ => Response::new(404),
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    let address = server.listen(address)?;
    // The page's own origin is listed like any other. Behind a proxy it is the one that browsers show.
    let own = [format!("http://{address}"), format!("http://localhost:{}", address.port())];
    let options = EndpointOptions::default().origins(own).message_size(LINE);
    let chat = server.mount_with("/chat", options, Chat::default())?;
    server.endpoint(chat).set_timer(SWEEP, SWEEP_EVERY);
    let client = Client::from_env()?;
    let page = client.page(include_str!("page.html"));
    server.fallback(move |context, request, body| {
        client.answer(request.path()).unwrap_or_else(|| answer(chat, &page, context, request, body))
    });
    println!("Listening on http://{address}/");
    server.run()
}
