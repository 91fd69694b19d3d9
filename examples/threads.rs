//! Shows how work that takes long leaves the server's thread: workers do it, and answer through a `Handle`.
//!
//! A client sends a number; a worker says by what it can be divided.
//!
//! To see it: `cargo run --example threads [ADDRESS]`,
//! `websocat ws://127.0.0.1:8081/factors/websocket`, and send `1000000007`.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sockjs_server::{Handle, HandleError, Server, ServerOptions, Session, SessionId};

/// Who asked, and what.
type Question = (SessionId, String);

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    let (sender, questions) = mpsc::channel();
    server.mount("/factors", move |session: &mut Session<'_>, text: &str| {
        // It fails only if all workers are gone.
        if sender.send((session.id(), text.to_owned())).is_err() {
            session.close(1011, "Nobody is at work");
        }
    })?;

    let questions = Arc::new(Mutex::new(questions));
    for _ in 0..4 {
        let (questions, handle) = (Arc::clone(&questions), server.handle());
        thread::spawn(move || work(&questions, &handle));
    }
    println!("Listening on http://{}/factors", server.listen(address)?);
    server.run()
}

/// One worker, until the server is gone.
fn work(questions: &Mutex<Receiver<Question>>, handle: &Handle) {
    loop {
        let question = questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((session, text)) = question else { return };
        let answer = match text.parse() {
            Ok(number) => format!("{number}: {}", factors(number)),
            Err(_) => format!("{text} is not a number"),
        };
        // If the client has left meanwhile the answer is dropped.
        match handle.send(session, answer) {
            Ok(()) => {}
            // The server is behind, and one answer more would not help it.
            Err(HandleError::Busy) => eprintln!("an answer is lost: {:?} wait already", handle.pending()),
            Err(_) => return,
        }
    }
}

/// The slow way.
fn factors(mut number: u64) -> String {
    let mut found = Vec::new();
    let mut divisor = 2;
    while number > 1 && divisor <= number / divisor {
        if number.is_multiple_of(divisor) {
            number /= divisor;
            found.push(divisor.to_string());
        } else {
            divisor += 1;
        }
    }
    found.push(number.to_string());
    found.join(" x ")
}
