//! The application's pages: bodies of every kind, readers that go wrong, and answers that come later. Each answer says
//! in its head which request of its client it belongs to, and of how many bytes its body consists; [`check`] compares.

use std::io::{self, Read};
use std::sync::Arc;

use sockjs_server::engine::{AnswerError, Engine, Reply, Response, Ticket};
use sockjs_server::{Body, Request};

/// Which of the requests of its client an answer is for.
pub const NUMBER: &str = "x-number";

/// How long the body of an answer is.
pub const LENGTH: &str = "x-length";

/// The longest body that a reader has: a few pieces.
const LONGEST: usize = 33_000;

/// Bytes that all clients share.
const SHARED: usize = 5000;

/// A reader that gives so many bytes, a few at once, and then ends or fails.
struct Source {
    place: usize,
    length: usize,
    fails: bool,
}

impl Read for Source {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        // Short reads too, and one that is interrupted.
        let count = room.len().min(self.length - self.place).min(20_000);
        match count {
            0 if self.fails => return Err(io::ErrorKind::Other.into()),
            0 => return Ok(0),
            _ => {}
        }
        for byte in &mut room[..count] {
            *byte = byte_at(self.place);
            self.place += 1;
        }
        Ok(count)
    }
}

fn byte_at(place: usize) -> u8 {
    (place % 251) as u8
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(byte_at).collect()
}

/// A request whose answer is to come.
struct Waiting {
    ticket: Ticket,
    number: usize,
    length: usize,
    /// How its body is made.
    path: String,
}

/// The pages, and what became of the requests for them.
pub struct Pages {
    shared: Arc<[u8]>,
    waiting: Vec<Waiting>,
    deferred: usize,
    answered: usize,
    unanswered: usize,
}

impl Default for Pages {
    fn default() -> Self {
        let shared = pattern(SHARED).into();
        Self { shared, waiting: Vec::new(), deferred: 0, answered: 0, unanswered: 0 }
    }
}

impl Pages {
    /// The answer to a request, which is this one of its client; or that it comes later.
    pub fn reply(&mut self, request: &Request<'_>, number: usize, body: &[u8]) -> Reply {
        let length = body.len() * 1000 % LONGEST;
        match request.path().strip_prefix("/later") {
            Some(path) => {
                let (reply, ticket) = Reply::later(request);
                self.waiting.push(Waiting { ticket, number, length, path: path.to_owned() });
                self.deferred += 1;
                reply
            }
            None => self.response(request.path(), number, length).into(),
        }
    }

    fn response(&self, path: &str, number: usize, length: usize) -> Response {
        let source = Source { place: 0, length, fails: path == "/broken" };
        let (length, body) = match path {
            "/read" if length.is_multiple_of(2) => (length, Body::reader(source)),
            "/read" => (length, Body::sized_reader(source, length as u64)),
            // It fails, has too few bytes, or has too many of them.
            "/broken" => match number % 3 {
                0 => (length, Body::reader(source)),
                1 => (length, Body::sized_reader(source, length as u64 + 1)),
                _ => (length, Body::sized_reader(source, (length as u64).saturating_sub(1))),
            },
            "/shared" => (SHARED, Arc::clone(&self.shared).into()),
            _ => (length, pattern(length).into()),
        };
        Response::new(200).header(NUMBER, &number.to_string()).header(LENGTH, &length.to_string()).body(body)
    }

    /// Answers the request that has waited longest, or shortest.
    pub fn answer(&mut self, engine: &mut Engine, is_newest: bool) {
        let place = if is_newest { self.waiting.len().saturating_sub(1) } else { 0 };
        if place < self.waiting.len() {
            let Waiting { ticket, number, length, path } = self.waiting.remove(place);
            let waits = engine.is_waiting(ticket);
            let answered = engine.answer_later(ticket, self.response(&path, number, length));
            assert_eq!(answered.is_ok(), waits);
            self.answered += usize::from(waits);
            assert!(!engine.is_waiting(ticket));
            assert_eq!(
                engine.answer_later(ticket, Response::new(200)),
                Err(AnswerError::Gone),
                "answered twice"
            );
        }
    }

    pub fn answer_all(&mut self, engine: &mut Engine) {
        while !self.waiting.is_empty() {
            self.answer(engine, false);
        }
    }

    /// A request ended without an answer of ours.
    pub fn note_unanswered(&mut self) {
        self.unanswered += 1;
    }

    /// At the end each request was answered once, or told of as one that never was.
    pub fn check_end(&self, engine: &Engine) {
        assert_eq!(self.deferred, self.answered + self.unanswered, "answered, or told that it was not");
        assert!(self.waiting.iter().all(|it| !engine.is_waiting(it.ticket)));
    }
}

/// The answer to this request of its client, with a body that is whole or was cut off.
pub fn check(number: usize, claimed: usize, length: usize, body: &[u8], is_whole: bool) {
    assert_eq!(claimed, number, "the answer to another request");
    assert!(body.iter().enumerate().all(|(place, byte)| *byte == byte_at(place)), "another body");
    assert!(if is_whole { body.len() == length } else { body.len() <= length }, "{} of {length}", body.len());
}
