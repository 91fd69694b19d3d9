//! Requests and their responses, over a connection each: no transport is in the way of another.

use std::time::Duration;

use super::address::Address;
use super::connection::{Connection, Wait};
use super::http::{Body, Head};
use super::problem::Problem;

/// A body that is read whole is no longer than this.
const LARGEST_BODY: usize = 1 << 20;

/// A client has few cookies of one server.
const MOST_COOKIES: usize = 16;

/// What holds for all requests of a session: the server, and what a browser would send along.
pub(super) struct Client<'c> {
    pub(super) address: &'c Address,
    pub(super) timeout: Duration,
    pub(super) origin: Option<&'c str>,
    /// Cookies keep a session's requests at one server behind a load balancer.
    cookies: Vec<String>,
}

/// A request, but for what is the same in all of them.
pub(super) struct Request<'r> {
    pub(super) method: &'static str,
    /// What follows the endpoint's prefix.
    pub(super) path: &'r str,
    /// Whole header lines.
    pub(super) fields: &'static str,
    pub(super) body: &'r str,
}

impl<'c> Client<'c> {
    pub(super) fn new(address: &'c Address, timeout: Duration, origin: Option<&'c str>) -> Self {
        Self { address, timeout, origin, cookies: Vec::new() }
    }

    pub(super) fn wait(&self, awaited: &'static str) -> Wait {
        Wait::new(awaited, self.timeout)
    }

    pub(super) fn connect(&self) -> Result<Connection, Problem> {
        Connection::open(self.address, self.timeout)
    }

    pub(super) fn send(&self, connection: &mut Connection, request: &Request<'_>) -> Result<(), Problem> {
        let Request { method, path, fields, body } = request;
        let Address { authority, path: prefix, .. } = self.address;
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("{method} {prefix}{path} HTTP/1.1\r\nHost: {authority}\r\n{fields}");
        text.push_str(&format!("User-Agent: sockjs-echo/{version}\r\n"));
        if let Some(origin) = self.origin {
            text.push_str(&format!("Origin: {origin}\r\n"));
        }
        if !self.cookies.is_empty() {
            text.push_str(&format!("Cookie: {}\r\n", self.cookies.join("; ")));
        }
        if *method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        connection.send(text.as_bytes(), self.timeout)
    }

    /// Reads the head of the answer, and keeps its cookies.
    pub(super) fn head(&mut self, connection: &mut Connection, wait: Wait) -> Result<Head, Problem> {
        loop {
            match Head::take(&mut connection.input)? {
                Some(head) if head.status == 100 => {}
                Some(head) => {
                    self.keep_cookies(&head);
                    return Ok(head);
                }
                None if connection.receive(wait)? => {}
                None => return Err(Problem::Ended { awaited: wait.awaited }),
            }
        }
    }

    fn keep_cookies(&mut self, head: &Head) {
        for cookie in head.values("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default().trim();
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            self.cookies.retain(|kept| kept.split_once('=').is_none_or(|(kept, _)| kept != name));
            if self.cookies.len() < MOST_COOKIES {
                self.cookies.push(pair.to_owned());
            }
        }
    }

    /// Sends a request over a connection that waits for it, and reads the answer whole.
    pub(super) fn ask(
        &mut self,
        connection: &mut Connection,
        request: &Request<'_>,
        answer: &'static str,
    ) -> Result<String, Problem> {
        self.send(connection, request)?;
        let wait = self.wait(answer);
        let head = self.head(connection, wait)?;
        expect_status(&head, answer, |status| matches!(status, 200 | 204))?;
        let (mut body, mut text) = (head.body()?, Vec::new());
        loop {
            body.decode(&mut connection.input, &mut text)?;
            if text.len() > LARGEST_BODY {
                return Err(Problem::TooMuch);
            }
            if body.is_done() {
                break;
            }
            if !connection.receive(wait)? {
                if body.may_end() {
                    break;
                }
                return Err(Problem::Ended { awaited: answer });
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Fails unless the status is one of these.
pub(super) fn expect_status(
    head: &Head,
    of: &'static str,
    is_expected: impl Fn(u16) -> bool,
) -> Result<(), Problem> {
    if is_expected(head.status) {
        return Ok(());
    }
    let location = head.value("location").map(str::to_owned);
    Err(Problem::Status { of, status: head.status, location })
}

/// A body that is read line by line as it arrives.
pub(super) struct Lines {
    connection: Connection,
    body: Body,
    text: Vec<u8>,
}

impl Lines {
    pub(super) fn new(connection: Connection, head: &Head) -> Result<Self, Problem> {
        Ok(Self { connection, body: head.body()?, text: Vec::new() })
    }

    /// The next line, its end included if it has one. `None`: the body has ended.
    pub(super) fn next(&mut self, wait: Wait) -> Result<Option<String>, Problem> {
        loop {
            self.body.decode(&mut self.connection.input, &mut self.text)?;
            let line = self.text.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            // The last line need not have an end.
            let last = (self.body.is_done() && !self.text.is_empty()).then_some(self.text.len());
            if let Some(end) = line.or(last) {
                let line: Vec<u8> = self.text.drain(..end).collect();
                return String::from_utf8(line).map(Some).map_err(|_| Problem::NotAFrame);
            }
            if self.body.is_done() {
                return Ok(None);
            }
            if self.text.len() > LARGEST_BODY {
                return Err(Problem::TooMuch);
            }
            if !self.connection.receive(wait)? {
                if !self.body.may_end() {
                    return Err(Problem::Ended { awaited: wait.awaited });
                }
                self.body = Body::Done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_sent_back_as_they_stand_last() {
        let address = Address::parse("http://h/echo").expect("a URL");
        let mut client = Client::new(&address, Duration::from_secs(1), None);
        let mut keep = |fields: &str| {
            let mut head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes();
            client.keep_cookies(&Head::take(&mut head).expect("HTTP").expect("whole"));
            client.cookies.join("; ")
        };
        assert_eq!(keep("Date: x\r\n"), "");
        let two = "Set-Cookie: JSESSIONID=dummy; path=/\r\nSet-Cookie: node=a=1;Secure\r\n";
        assert_eq!(keep(two), "JSESSIONID=dummy; node=a=1");
        assert_eq!(keep("Set-Cookie: JSESSIONID=2\r\n"), "node=a=1; JSESSIONID=2");
        let many: String = (0..100).map(|number| format!("Set-Cookie: c{number}=1\r\n")).collect();
        assert_eq!(keep(&many).split("; ").count(), MOST_COOKIES);
    }
}
