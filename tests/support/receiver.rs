//! The responses that carry the frames of a session over HTTP.

use super::client::{Answer, Client};
use super::target::Target;
use super::wire::{Transport, Wire};

/// A connection on which a session's receivers follow each other: responses that carry its frames.
pub struct Receiver {
    pub transport: Transport,
    pub client: Client,
    /// The head of the last response, once it was read.
    pub answer: Answer,
    /// Whether a proxy may have cut the response into other chunks.
    pub is_proxied: bool,
    response: Response,
    /// What came of a response and is not a whole frame yet.
    bytes: Vec<u8>,
}

/// How far a response was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Response {
    /// It has ended, or none was asked for.
    Ended,
    /// Its head has not come yet.
    Asked,
    /// What comes before the first frame is not over yet.
    Prelude,
    Frames,
}

impl Receiver {
    /// A connection on which no receiver was asked for yet.
    pub fn new(client: Client, transport: Transport) -> Self {
        let (answer, response, bytes) = (Answer::default(), Response::Ended, Vec::new());
        Self { transport, client, answer, is_proxied: false, response, bytes }
    }

    /// Opens a receiver of this session, and of a streaming one reads head and prelude.
    pub fn open(target: &Target, transport: Transport, session: &str) -> Self {
        Self::open_on(target.connect(), transport, session)
    }

    /// Opens a receiver on a connection that is there.
    pub fn open_on(client: Client, transport: Transport, session: &str) -> Self {
        let mut receiver = Self::new(client, transport);
        receiver.ask(session, "");
        if transport.is_streaming() {
            receiver.read_head();
            receiver.read_chunk();
            receiver.take_prelude();
            assert!(receiver.response == Response::Frames, "a prelude");
        }
        receiver
    }

    /// Asks for a receiver of this session, with these header lines, and reads nothing.
    pub fn ask(&mut self, session: &str, headers: &str) {
        assert!(self.has_ended(), "one receiver at a time");
        let path = format!("{session}{}", self.transport.path());
        self.client.request(self.transport.method(), &path, headers, b"");
        self.response = Response::Asked;
    }

    /// Whether no response is under way, so that the connection is free for another request.
    pub fn has_ended(&self) -> bool {
        self.response == Response::Ended
    }

    /// The next frame; `None` when the response has ended.
    pub fn next(&mut self) -> Option<String> {
        loop {
            if self.response == Response::Prelude {
                self.take_prelude();
            }
            if self.response != Response::Prelude
                && let Some(frame) = self.take_frame()
            {
                return Some(frame);
            }
            match self.response {
                Response::Ended => return None,
                Response::Asked => self.read_head(),
                Response::Prelude | Response::Frames => self.read_chunk(),
            }
        }
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> String {
        self.next().expect("a frame, not the end of the response")
    }

    /// Panics unless the response ends here.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.next(), None, "the response should end");
    }

    /// Reads the head, and the whole body of a polling response.
    fn read_head(&mut self) {
        self.answer = self.client.head().expect(200);
        let is_kept = !self.is_proxied || !self.answer.closes();
        assert!(is_kept, "a proxy keeps the connection: {}", self.answer.head);
        if self.transport.is_polling() {
            self.client.body(&mut self.answer);
            self.bytes.append(&mut self.answer.body);
            self.response = Response::Ended;
        } else {
            self.response = Response::Prelude;
        }
    }

    fn read_chunk(&mut self) {
        assert!(self.is_proxied || self.bytes.is_empty(), "half a frame in a chunk: {:?}", self.bytes);
        match self.client.chunk() {
            Some(mut chunk) => self.bytes.append(&mut chunk),
            None => {
                assert!(self.bytes.is_empty(), "{:?}: half a frame", self.transport);
                self.response = Response::Ended;
            }
        }
    }

    /// Takes the prelude off, if all of it has come.
    fn take_prelude(&mut self) {
        if let Some(bytes) = self.take_through(self.transport.prelude_end()) {
            self.transport.check_prelude(&bytes);
            self.response = Response::Frames;
        }
    }

    fn take_frame(&mut self) -> Option<String> {
        let [_, behind] = self.transport.around();
        self.take_through(&behind).map(|bytes| self.transport.unwrap(&bytes))
    }

    /// The bytes as far as this end of them. Without a proxy the prelude and each frame are a chunk of their own.
    fn take_through(&mut self, end: &str) -> Option<Vec<u8>> {
        if !self.is_proxied {
            return Some(std::mem::take(&mut self.bytes)).filter(|bytes| !bytes.is_empty());
        }
        let at = self.bytes.windows(end.len()).position(|window| window == end.as_bytes())?;
        Some(self.bytes.drain(..at + end.len()).collect())
    }
}
