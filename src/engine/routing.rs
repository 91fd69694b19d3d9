//! A request → its endpoint → what is asked of it. What needs no session is answered here.

use super::answers::label;
use super::endpoint::EndpointNumber;
use std::sync::Arc;

use super::answers::{Cache, Exchange, Label, PLAIN_TEXT, end_answer};
use super::reply::When;
use super::{Application, Engine, Event};
use crate::http::{self, Framing, Loading, Method};
use crate::sockjs::{
    self, Action, GREETING, Info, Messages, PayloadError, Route, Transport, form, iframe, write_info,
};

impl Engine {
    /// Answers one whole request, or begins to.
    pub(super) fn handle(
        &mut self,
        exchange: &Exchange<'_>,
        body: &mut [u8],
        application: &mut dyn Application,
    ) {
        let request = exchange.request;
        if request.path() == "*" {
            return self.answer_for_server(exchange, application);
        }
        let Some((number, below)) = self.endpoints.under(request.path()) else {
            return self.handle_other(exchange, body, application);
        };
        let route = sockjs::route(below).filter(|route| self.is_offered(number, *route));
        self.observe_request(exchange, number, route, application);
        let Some(route) = route else { return self.answer(exchange, 404, Label::TEXT, b"Not Found\n") };
        let label = label(number, route);
        let allowed = route.methods();
        // By characters: the search for a string begins with a study of it, which costs more than all the rest.
        if !allowed.split([',', ' ']).any(|method| method == request.method().as_str()) {
            return self.answer_not_allowed(exchange, label, allowed);
        }
        let origins = self.endpoints.of(number).map(|endpoint| &endpoint.origins);
        if !origins.is_some_and(|origins| origins.admit(request, loading(route))) {
            self.note_not_admitted(exchange.key, 403);
            // A page of that origin is not to read even this.
            let label = Label { cors: false, ..self.error_label(exchange) };
            return self.answer(exchange, 403, label, b"Origin not allowed.");
        }
        if let (Method::Options, Some(methods)) = (request.method(), route.preflight_methods()) {
            return self.answer_options(exchange, label, allowed, methods);
        }
        match route {
            Route::Greeting => self.answer(exchange, 200, label, GREETING.as_bytes()),
            Route::Info => self.answer_info(exchange, number, label),
            Route::Iframe => self.answer_iframe(exchange, number, label),
            Route::RawWebSocket => self.upgrade(exchange, number, Transport::RawWebSocket, application),
            Route::Session { action: Action::WebSocket, .. } => {
                self.upgrade(exchange, number, Transport::WebSocket, application);
            }
            Route::Session { action: Action::XhrSend | Action::JsonpSend, .. } => {
                self.take_messages(exchange, number, route, body, application);
            }
            Route::Session { action, session } => match action.transport() {
                Some(transport) => self.take_receiver(exchange, number, transport, session, application),
                None => self.answer(exchange, 404, Label::TEXT, b"Not Found\n"),
            },
        }
    }

    /// HEAD where GET would begin a receiver: its head, and no session. How long the answer would be is unknown.
    fn answer_head(&mut self, exchange: &Exchange<'_>, label: Label) {
        if exchange.is_http11() {
            return self.answer_with(exchange, 200, label, |head| head.chunked());
        }
        let last = Exchange { keep_alive: false, ..*exchange };
        self.answer_with(&last, 200, label, |head| head.end());
    }

    /// The most bytes that a request's body may have, if it has one.
    pub(super) fn body_limit(&self, request: &http::Request<'_, '_>) -> usize {
        if request.framing() == Framing::None {
            return 0;
        }
        match self.endpoints.under(request.path()) {
            Some((number, _)) => self.endpoints.of(number).map_or(0, |endpoint| endpoint.payload_limit()),
            None => self.options.body_size,
        }
    }

    fn answer_not_allowed(&mut self, exchange: &Exchange<'_>, label: Label, allowed: &str) {
        let cache = if label.cache == Cache::Year { Cache::Unsaid } else { label.cache };
        let label = Label { content_type: None, cache, ..label };
        self.answer_with(exchange, 405, label, |head| head.header("Allow", allowed).body(b""));
    }

    /// `OPTIONS *`: of the server as a whole (RFC 9110 §9.3.7).
    fn answer_for_server(&mut self, exchange: &Exchange<'_>, application: &mut dyn Application) {
        application.observe(&Event::Request(&self.show(exchange, exchange.request.path(), None)));
        let label = Label { content_type: None, ..Label::TEXT };
        self.answer_with(exchange, 204, label, |head| {
            head.header("Allow", "GET, HEAD, POST, OPTIONS").end();
        });
    }

    fn answer_options(&mut self, exchange: &Exchange<'_>, label: Label, allowed: &str, methods: &str) {
        let label = Label { content_type: None, cache: Cache::Year, ..label };
        self.answer_with(exchange, 204, label, |head| {
            head.header("Allow", allowed)
                .header("Access-Control-Max-Age", "31536000")
                .header("Access-Control-Allow-Methods", methods)
                .end();
        });
    }

    fn answer_info(&mut self, exchange: &Exchange<'_>, number: EndpointNumber, label: Label) {
        let Some(endpoint) = self.endpoints.of(number) else { return };
        let mut body = self.memory.pool.take(0);
        let info = Info {
            websocket: endpoint.offers(Transport::WebSocket),
            cookie_needed: endpoint.options.jsessionid.is_some(),
            entropy: self.entropy.draw(),
            base_url: endpoint.options.base_url.as_deref(),
        };
        write_info(&mut body, &info);
        self.answer(exchange, 200, label, &body);
        self.memory.pool.give(body);
    }

    fn answer_iframe(&mut self, exchange: &Exchange<'_>, number: EndpointNumber, label: Label) {
        let Some(endpoint) = self.endpoints.of(number) else { return };
        let iframe = Arc::clone(&endpoint.iframe);
        // A list of origins may change, and the page kept by a browser must not outlive it.
        let cache = if iframe.policy().is_some() { Cache::Revalidate } else { label.cache };
        let is_known =
            exchange.request.header_values("if-none-match").any(|list| iframe::matches(iframe.etag(), list));
        let (status, content_type) = if is_known { (304, None) } else { (200, label.content_type) };
        self.answer_with(exchange, status, Label { cache, content_type, ..label }, |mut head| {
            if let Some(policy) = iframe.policy() {
                head = head.header("Content-Security-Policy", policy);
            }
            end_answer(head.header("ETag", iframe.etag()), exchange, status, iframe.page().as_bytes());
        });
    }

    /// A path under no prefix: the embedding program's.
    fn handle_other(&mut self, exchange: &Exchange<'_>, body: &[u8], application: &mut dyn Application) {
        let request = self.show(exchange, exchange.request.path(), None);
        application.observe(&Event::Request(&request));
        let ticket = request.ticket;
        match application.respond(self, &request, body).0 {
            When::Now(response) => self.answer_page(exchange.key, exchange.form(), response.valid()),
            When::Later(named) if named == ticket => self.defer(exchange, ticket),
            // It is the reply to another request.
            When::Later(_) => self.answer_page_error(exchange.key, exchange.form(), 500),
        }
    }

    /// `xhr_send` and `jsonp_send`: all messages of the body, or none.
    fn take_messages(
        &mut self,
        exchange: &Exchange<'_>,
        number: EndpointNumber,
        route: Route<'_>,
        body: &[u8],
        application: &mut dyn Application,
    ) {
        let Route::Session { action, session } = route else { return };
        let Some(key) = self.find_session(number, session) else {
            return self.answer_error(exchange, 404, "Unknown session.");
        };
        self.note_request(key);
        let mut field = self.memory.pool.take(body.len());
        let is_form = action == Action::JsonpSend && form::is_form(exchange.request.header("content-type"));
        let payload = match is_form {
            true => form::field(body, "d", &mut field).ok_or(PayloadError::Expected),
            false => Ok(body),
        };
        match payload.and_then(Messages::parse) {
            Ok(messages) => {
                let label = Label { content_type: Some(PLAIN_TEXT), ..label(number, route) };
                let (status, body): (_, &[u8]) =
                    if action == Action::JsonpSend { (200, b"ok") } else { (204, b"") };
                match self.deliver(key, messages, application) {
                    "" => self.answer(exchange, status, label, body),
                    left => self.answer_behind(exchange, (status, label, body), key, left),
                }
            }
            Err(error) => self.answer_error(exchange, 500, error.message()),
        }
        self.memory.pool.give(field);
    }

    /// A receiver for a session: the first of its life, or the next.
    fn take_receiver(
        &mut self,
        exchange: &Exchange<'_>,
        number: EndpointNumber,
        transport: Transport,
        id: &str,
        application: &mut dyn Application,
    ) {
        let callback = match transport {
            Transport::HtmlFile | Transport::JsonpPolling => {
                let parameter = |name| exchange.request.query_parameter(name);
                match sockjs::callback(parameter("c").or_else(|| parameter("callback"))) {
                    Ok(callback) => Some(callback),
                    Err(error) => return self.answer_error(exchange, 500, error.message()),
                }
            }
            _ => None,
        };
        let label = label(number, Route::Session { action: Action::Xhr, session: id });
        let cors = !matches!(transport, Transport::HtmlFile | Transport::JsonpPolling);
        let (content_type, precaution) = (Some(transport.content_type()), transport.precaution());
        let label = Label { content_type, cors, precaution, ..label };
        if exchange.is_head() {
            return self.answer_head(exchange, label);
        }
        match self.find_session(number, id) {
            Some(session) => {
                self.begin_receiver(exchange, session, transport, label, callback);
                self.attach_or_wait(exchange.key, session);
            }
            // Whether it can be answered at all is known before the application makes its
            // state, or another session its room.
            None if !self.make_room_for_receiver(exchange.key) => {}
            None => match self.admit(exchange, number, transport, application) {
                Ok(admitted) => {
                    let session = self.create_session(number, transport, Some(id), admitted);
                    self.begin_receiver(exchange, session, transport, label, callback);
                    self.open_session(session, exchange, application);
                }
                Err(answer) => self.answer_refusal(exchange, answer),
            },
        }
    }
}

/// How browsers can load what a path answers, beside by a script that reads it under the rules of CORS.
fn loading(route: Route<'_>) -> Loading {
    match route {
        Route::Session { action: Action::Jsonp | Action::JsonpSend | Action::HtmlFile, .. } => {
            Loading::Element
        }
        Route::Session { action: Action::EventSource, .. } => Loading::EventSource,
        Route::Greeting | Route::Info | Route::Iframe | Route::RawWebSocket => Loading::Script,
        Route::Session {
            action: Action::WebSocket | Action::Xhr | Action::XhrStreaming | Action::XhrSend,
            ..
        } => Loading::Script,
    }
}
