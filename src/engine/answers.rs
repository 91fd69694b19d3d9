//! Response heads by the rules of the contract, and whole answers.

use super::application::is_the_programs;
use super::connection::Connection;
use super::endpoint::EndpointNumber;
use super::endpoint::Endpoints;
use super::reading::Reading;
use super::session::Session;
use super::writing::Form;
use super::{Engine, Stage};
use crate::collections::Key;
use crate::http::{self, Date, HeaderStorage, HttpError, Loading, Method, ResponseHead, Version, http_date};
use crate::sockjs::{self, Action, Route};

/// One request under way, with all that its answer depends on.
pub(super) struct Exchange<'r> {
    pub(super) key: Key<Connection>,
    pub(super) request: &'r http::Request<'r, 'r>,
    /// The connection goes on behind the answer.
    pub(super) keep_alive: bool,
}

impl<'r> Exchange<'r> {
    /// Behind a request for a WebSocket the client may send frames before it has the answer. Where the answer is
    /// another one, these bytes must not be read as a request, so that the connection ends.
    pub(super) fn new(key: Key<Connection>, request: &'r http::Request<'r, 'r>, stage: Stage) -> Self {
        let goes_on = request.keep_alive() && !request.list_contains("upgrade", "websocket");
        Self { key, request, keep_alive: goes_on && stage != Stage::Stopping }
    }

    pub(super) fn is_head(&self) -> bool {
        matches!(self.request.method(), Method::Head)
    }

    pub(super) fn is_http11(&self) -> bool {
        self.request.version() == Version::Http11
    }

    /// What its answer depends on when the request is gone.
    pub(super) fn form(&self) -> Form {
        Form { is_head: self.is_head(), is_http11: self.is_http11(), keep_alive: self.keep_alive }
    }
}

/// For how long caches may keep an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cache {
    /// Nothing is said.
    Unsaid,
    Never,
    /// A cache may keep it, but asks again before each use.
    Revalidate,
    Year,
}

/// How the names of the fields begin that let a page read an answer.
const ALLOW: &str = "access-control-allow-";

pub(super) const PLAIN_TEXT: &str = "text/plain; charset=UTF-8";

const SECONDS_PER_YEAR: u64 = 31_536_000;

/// The fields of a response head beside its status and framing.
#[derive(Clone, Copy)]
pub(super) struct Label {
    /// The endpoint that answers, if one does.
    pub(super) endpoint: Option<EndpointNumber>,
    pub(super) content_type: Option<&'static str>,
    pub(super) cache: Cache,
    /// Cross-origin pages may read it.
    pub(super) cors: bool,
    /// The endpoint's cookie goes with it.
    pub(super) cookie: bool,
    /// One field more.
    pub(super) precaution: Option<(&'static str, &'static str)>,
    /// It says that another protocol would be welcome (RFC 9110 §7.8).
    pub(super) upgrade: bool,
}

impl Label {
    /// Plain text, of which nothing else is said.
    pub(super) const TEXT: Label = Label {
        endpoint: None,
        content_type: Some(PLAIN_TEXT),
        cache: Cache::Unsaid,
        cors: false,
        cookie: false,
        precaution: None,
        upgrade: false,
    };

    /// Whether a field of this name is the program's to set: two that say different things of
    /// one matter are worse than none.
    pub(super) fn leaves(self, name: &str) -> bool {
        let is_cache = name.eq_ignore_ascii_case("cache-control") && self.cache != Cache::Unsaid;
        let allows = name.get(..ALLOW.len()).is_some_and(|start| start.eq_ignore_ascii_case(ALLOW));
        is_the_programs(name) && !is_cache && !(allows && self.cors)
    }

    /// Begins the head of an answer.
    pub(super) fn head<'o>(
        self,
        out: &'o mut Vec<u8>,
        exchange: &Exchange<'_>,
        status: u16,
        endpoints: &Endpoints,
        date: &Date,
    ) -> ResponseHead<'o> {
        let mut head = ResponseHead::new(out, status, date);
        if let Some(content_type) = self.content_type {
            head = head.header("Content-Type", content_type);
        }
        head = match self.cache {
            Cache::Unsaid => head,
            Cache::Never => {
                head.header("Cache-Control", "no-store, no-cache, no-transform, must-revalidate, max-age=0")
            }
            Cache::Revalidate => head.header("Cache-Control", "no-cache"),
            Cache::Year => {
                let expires = http_date(date.unix_seconds() + SECONDS_PER_YEAR);
                head.header("Cache-Control", "public, max-age=31536000").header_bytes("Expires", &expires)
            }
        };
        if let Some(endpoint) = self.endpoint.and_then(|number| endpoints.of(number)) {
            // A page whose origin is not listed must not read even that its request was wrong.
            if self.cors && endpoint.options.cors && endpoint.origins.admit(exchange.request, Loading::Script)
            {
                head = cross_origin(head, exchange);
            }
            if let (true, Some(attributes)) = (self.cookie, &endpoint.options.jsessionid) {
                head = cookie(head, exchange, attributes);
            }
        }
        if let Some((name, value)) = self.precaution {
            head = head.header(name, value);
        }
        if self.upgrade {
            head = head.header("Upgrade", "websocket");
        }
        match self.upgrade {
            // The bytes behind a refused handshake may be frames: the connection ends.
            true => head.header("Connection", "close, Upgrade"),
            false => connection_field(head, exchange.form()),
        }
    }
}

/// Says whether the connection goes on, where the version alone does not.
pub(super) fn connection_field(head: ResponseHead<'_>, form: Form) -> ResponseHead<'_> {
    match (form.keep_alive, form.is_http11) {
        (true, true) => head,
        (true, false) => head.header("Connection", "keep-alive"),
        (false, _) => head.header("Connection", "close"),
    }
}

/// Lets the page that asks read the answer (Fetch, CORS protocol).
fn cross_origin<'o>(head: ResponseHead<'o>, exchange: &Exchange<'_>) -> ResponseHead<'o> {
    let echoed = |name| exchange.request.header(name).filter(|value| can_be_echoed(value));
    let head = match echoed("origin") {
        Some(origin) => head
            .header_bytes("Access-Control-Allow-Origin", origin)
            .header("Access-Control-Allow-Credentials", "true"),
        None => head.header("Access-Control-Allow-Origin", "*"),
    };
    let head = head.header("Vary", "Origin");
    match echoed("access-control-request-headers") {
        Some(names) => head.header_bytes("Access-Control-Allow-Headers", names),
        None => head,
    }
}

/// The longest value that is echoed: a request must not make its answer large.
const LONGEST_ECHO: usize = 1024;

/// Only text that cannot break a line, or be read as something else, is ever echoed.
fn can_be_echoed(value: &[u8]) -> bool {
    !value.is_empty() && value.len() <= LONGEST_ECHO && value.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// Hands the load balancer's cookie back, or sets it.
fn cookie<'o>(head: ResponseHead<'o>, exchange: &Exchange<'_>, attributes: &str) -> ResponseHead<'o> {
    let is_octet = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    let sent = exchange.request.cookie("JSESSIONID");
    let value = sent.filter(|value| !value.is_empty() && value.iter().all(is_octet)).unwrap_or(b"dummy");
    let separator: &[u8] = if attributes.is_empty() { b"" } else { b"; " };
    let parts = [b"JSESSIONID=", value, b"; path=/", separator, attributes.as_bytes()];
    head.header_bytes("Set-Cookie", &parts.concat())
}

/// The end of a head, and the body behind it.
pub(super) fn end_answer(head: ResponseHead<'_>, exchange: &Exchange<'_>, status: u16, body: &[u8]) {
    match status {
        204 | 304 => head.end(),
        _ if exchange.is_head() => head.body_for_head(body.len()),
        _ => head.body(body),
    }
}

impl Engine {
    /// Answers a request whole, and goes on to the next.
    pub(super) fn answer(&mut self, exchange: &Exchange<'_>, status: u16, label: Label, body: &[u8]) {
        if !self.make_room_for_answer(exchange.key, body.len()) {
            return;
        }
        let Some(connection) = self.connections.get_mut(exchange.key) else { return };
        connection.outbox.write(&mut self.memory.pool, |out| {
            let head = label.head(out, exchange, status, &self.endpoints, &self.time.date);
            end_answer(head, exchange, status, body);
        });
        self.finish_response(exchange.key, exchange.keep_alive);
    }

    /// Answers a request whole when the rest of its messages was delivered.
    pub(super) fn answer_behind(
        &mut self,
        exchange: &Exchange<'_>,
        (status, label, body): (u16, Label, &[u8]),
        session: Key<Session>,
        left: &str,
    ) {
        self.memory.buffers.scratch.clear();
        let head =
            label.head(&mut self.memory.buffers.scratch, exchange, status, &self.endpoints, &self.time.date);
        end_answer(head, exchange, status, body);
        if let Some(connection) = self.connections.get_mut(exchange.key) {
            connection.begin_delivery(session, &self.memory.buffers.scratch, exchange.keep_alive);
        }
        self.note_heard(exchange.key, session);
        self.keep_rest(exchange.key, left);
    }

    /// Answers with header fields, or a body, beyond the label's.
    pub(super) fn answer_with(
        &mut self,
        exchange: &Exchange<'_>,
        status: u16,
        label: Label,
        finish: impl FnOnce(ResponseHead<'_>),
    ) {
        if !self.make_room_for_answer(exchange.key, 0) {
            return;
        }
        let Some(connection) = self.connections.get_mut(exchange.key) else { return };
        connection.outbox.write(&mut self.memory.pool, |out| {
            finish(label.head(out, exchange, status, &self.endpoints, &self.time.date));
        });
        self.finish_response(exchange.key, exchange.keep_alive);
    }

    /// A plain answer to a request that went wrong, labelled as the route's good answers are.
    pub(super) fn answer_error(&mut self, exchange: &Exchange<'_>, status: u16, text: &str) {
        self.answer(exchange, status, self.error_label(exchange), text.as_bytes());
    }

    pub(super) fn error_label(&self, exchange: &Exchange<'_>) -> Label {
        let route = self.endpoints.under(exchange.request.path()).and_then(|(number, below)| {
            let route = sockjs::route(below)?;
            Some(label(number, route))
        });
        let label = Label { content_type: Some(PLAIN_TEXT), ..route.unwrap_or(Label::TEXT) };
        let cache = if label.cache == Cache::Year { Cache::Unsaid } else { label.cache };
        Label { cache, ..label }
    }

    /// Answers a head that was not understood. Nothing behind it is read as a request.
    pub(super) fn refuse_head(&mut self, key: Key<Connection>, status: u16, is_head: bool) {
        self.note_refusal(key, status);
        if !self.make_room_for_answer(key, 0) {
            return;
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.outbox.write(&mut self.memory.pool, |out| {
            let head = ResponseHead::new(out, status, &self.time.date)
                .header("Content-Type", PLAIN_TEXT)
                .header("Connection", "close");
            let body = http::reason_phrase(status).as_bytes();
            if is_head { head.body_for_head(body.len()) } else { head.body(body) }
        });
        self.finish_response(key, false);
    }

    /// Answers a request whose body was not accepted; where it ends is unknown, so the connection does too.
    pub(super) fn refuse_request(&mut self, exchange: &Exchange<'_>, error: HttpError) {
        self.note_refusal(exchange.key, error.status());
        let last = Exchange { keep_alive: false, ..*exchange };
        self.answer_error(&last, error.status(), http::reason_phrase(error.status()));
    }

    /// Answers a request that has not come whole; with the fields of its route, if its head is there.
    pub(super) fn refuse_unfinished(&mut self, key: Key<Connection>, status: u16) {
        let Some(connection) = self.connections.get(key) else { return };
        let Reading::Body(partial) = connection.reading() else {
            return self.refuse_head(key, status, names_head(&connection.inbox));
        };
        let head = connection.inbox.get(..partial.head_length).unwrap_or_default().to_vec();
        let mut storage = HeaderStorage::new();
        match http::Request::parse(&head, &mut storage, &self.options.head_limits()) {
            Ok(request) => {
                self.note_refusal(key, status);
                let last = Exchange { key, request: &request, keep_alive: false };
                self.answer_error(&last, status, http::reason_phrase(status));
            }
            Err(_) => self.refuse_head(key, status, names_head(&head)),
        }
    }
}

/// Whether a head begins as a HEAD request does: even if the rest of it is wrong, its answer
/// has no content (RFC 9110 §9.3.2).
pub(super) fn names_head(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"HEAD ")
}

/// The fields of a route's answers.
pub(super) fn label(number: EndpointNumber, route: Route<'_>) -> Label {
    let label = Label { endpoint: Some(number), ..Label::TEXT };
    match route {
        Route::Greeting | Route::RawWebSocket => label,
        Route::Iframe => {
            Label { content_type: Some("text/html; charset=UTF-8"), cache: Cache::Year, ..label }
        }
        Route::Info => Label {
            content_type: Some("application/json; charset=UTF-8"),
            cache: Cache::Never,
            cors: true,
            ..label
        },
        Route::Session { action: Action::WebSocket, .. } => Label { cache: Cache::Never, ..label },
        Route::Session { action, .. } => {
            let cors = !matches!(action, Action::HtmlFile | Action::Jsonp | Action::JsonpSend);
            Label { cache: Cache::Never, cors, cookie: true, ..label }
        }
    }
}
