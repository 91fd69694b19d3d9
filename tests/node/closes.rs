//! Servers whose sessions end in every way that the guide's table of close codes names; `closes.js` is the pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sockjs_server::{
    Close, Context, Endpoint, EndpointOptions, Event, Handle, Handler, Refusal, Request, Response,
    ServerOptions, Session,
};

use crate::support::TestServer;

/// As few `buffered_bytes` as a server may have.
const SMALL: usize = 1 << 20;

/// Ends sessions, and servers, as their pages ask for.
struct Ender {
    handle: Handle,
}

impl Handler for Ender {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = || number.parse().expect("a number");
        match what {
            "close" => session.close(number(), rest),
            "terminate" => session.terminate(),
            "panic" => panic!("as asked for"),
            "overflow" => while session.broadcast(&"x".repeat(10_000)) > 0 {},
            "shutdown" => self.handle.shutdown(),
            "drain" => {
                let patience = Duration::from_secs(number().into());
                self.handle.drain(patience, 1012, rest).expect("the server runs");
                session.send("draining").expect("its client reads");
            }
            // Too large a message, of which nothing is to be done.
            _ => {}
        }
    }
}

/// What the page is told by the fallback of each server, as two numbers that all servers count together.
#[derive(Default)]
struct Told {
    /// Polls, and other requests for sessions by POST: the observer is not told more of their paths.
    posts: AtomicUsize,
    /// Sessions that were closed because they did not read.
    given_up: AtomicUsize,
}

impl Told {
    fn note(&self, close: &Close) {
        if close.code == 1013 {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Broadcasts more than any client takes without reading, until all are closed.
struct Flood(Arc<Told>);

const NEXT: u32 = 0;

impl Handler for Flood {
    fn on_message(&mut self, session: &mut Session<'_>, _: &str) {
        session.endpoint().set_timer(NEXT, Duration::ZERO);
    }

    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_>, timer: u32) {
        if endpoint.broadcast(&"x".repeat(100_000)) > 0 {
            endpoint.set_timer(timer, Duration::ZERO);
        }
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        self.0.note(close);
    }
}

/// Sends the oldest session what it does not read, and another one what the server has room for without the first.
struct Crowd(Arc<Told>);

impl Crowd {
    fn fill_oldest(mut endpoint: Endpoint<'_>) {
        let Some(oldest) = endpoint.sessions().first().copied() else { return };
        while endpoint.send(oldest, "x".repeat(SMALL / 20)).is_ok() {}
    }
}

impl Handler for Crowd {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        match text {
            "go" => Self::fill_oldest(session.endpoint()),
            "bye" => session.close(1000, "Bye"),
            _ => {
                Self::fill_oldest(session.endpoint());
                // Where it is not known yet that the other one takes nothing, its memory is not given away.
                let sent = session.send("x".repeat(SMALL / 5 * 3));
                sent.or_else(|_| session.send("not yet")).expect("there is room for so little");
            }
        }
    }

    fn on_drain(&mut self, session: &mut Session<'_>, _: u64) {
        Self::fill_oldest(session.endpoint());
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        self.0.note(close);
    }
}

/// Refuses all.
struct Refusing(fn() -> Refusal);

impl Handler for Refusing {
    fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
        Err((self.0)())
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

fn start(options: ServerOptions, told: &Arc<Told>) -> TestServer {
    TestServer::start(options, |server| {
        let (ender, listed) = (Ender { handle: server.handle() }, Ender { handle: server.handle() });
        let options = EndpointOptions::default;
        server.mount_with("/e", options().send_queue(64 << 10), ender).expect("mount");
        server.mount_with("/listed", options().origins(["https://example.org"]), listed).expect("mount");
        server.mount("/flood", Flood(Arc::clone(told))).expect("mount");
        // A response that never ends by its limit stays in the way until the server gives it up.
        server
            .mount_with("/crowd", options().response_limit(1 << 30), Crowd(Arc::clone(told)))
            .expect("mount");
        server.mount("/status", Refusing(|| Refusal::status(403))).expect("mount");
        server.mount("/refused", Refusing(|| Refusal::close(4001, "Log in first"))).expect("mount");
        let (seen, told) = (Arc::clone(told), Arc::clone(told));
        server.observe(move |event| match event {
            Event::Request(request) if (request.method(), request.path()) == ("POST", "/e") => {
                seen.posts.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        });
        server.fallback(move |_: &mut Context<'_>, request: &Request<'_>, _: &[u8]| match request.path() {
            "/" => {
                let [posts, given_up] =
                    [&told.posts, &told.given_up].map(|count| count.load(Ordering::Relaxed));
                Response::new(200).body(format!("[{posts},{given_up}]"))
            }
            _ => Response::new(404),
        });
    })
}

/// One that goes on, another one of the same kind, one to be shut down, one to be drained, and one without much memory.
pub fn servers() -> [TestServer; 5] {
    let options = ServerOptions::default;
    let all = [options(), options(), options(), options(), options().buffered_bytes(SMALL)];
    let told = Arc::default();
    all.map(|options| start(options, &told))
}
