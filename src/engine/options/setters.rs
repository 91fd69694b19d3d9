//! A method for each option, so that options are one expression.
//!
//! Programs of other crates cannot write `EndpointOptions { sessions: 5, ..EndpointOptions::default() }`: the structs
//! may get new fields. A new option needs a line here.

use std::time::Duration;

use super::{EndpointOptions, Overflow, ServerOptions};
use crate::http::Network;
use crate::sockjs::Transports;

/// `name: type` takes the field's own type; `name: type => expression` makes the field of something more convenient.
macro_rules! setters {
    ($options:ident { $($name:ident: $given:ty $(=> $made:expr)?,)+ }) => {
        impl $options {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](field@Self::", stringify!($name), ").")]
                #[must_use]
                pub fn $name(mut self, $name: $given) -> Self {
                    self.$name = setters!(@made $name $($made)?);
                    self
                }
            )+
        }
    };
    (@made $name:ident) => { $name };
    (@made $name:ident $made:expr) => { $made($name) };
}

setters!(ServerOptions {
    request_line: usize,
    header_section: usize,
    header_count: usize,
    head_timeout: Duration,
    body_timeout: Duration,
    answer_timeout: Duration,
    keep_alive: Duration,
    write_stall: Duration,
    slowest_client: usize,
    close_timeout: Duration,
    connections: usize,
    connections_per_client: usize => Some,
    sessions_per_client: usize => Some,
    buffered_bytes: usize,
    mailbox_bytes: usize,
    shutdown_grace: Duration,
    trusted_proxies: impl IntoIterator<Item = Network> => collected,
    body_size: usize,
});

setters!(EndpointOptions {
    heartbeat_delay: Duration,
    pong_timeout: Duration,
    disconnect_delay: Duration,
    response_limit: usize,
    transports: Transports,
    client_url: impl Into<String> => Into::into,
    base_url: impl Into<String> => some_text,
    jsessionid: impl Into<String> => some_text,
    cors: bool,
    origins: impl IntoIterator<Item: Into<String>> => texts,
    iframe: bool,
    subprotocols: impl IntoIterator<Item: Into<String>> => texts,
    subprotocol_required: bool,
    message_size: usize,
    send_queue: usize,
    overflow: Overflow,
    session_id_length: usize,
    sessions: usize,
    groups: usize,
    groups_per_session: usize,
    group_name_length: usize,
});

fn some_text(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

fn texts(texts: impl IntoIterator<Item: Into<String>>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}

fn collected<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// A setter of an option, by the option's name.
    type Setter<O> = (&'static str, fn(O) -> O);

    /// Each field's name and what its value looks like.
    fn fields(options: &impl fmt::Debug) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in format!("{options:#?}").lines() {
            // What is nested has more white space in front; what closes it has no colon.
            match (line.strip_prefix("    ").and_then(|field| field.split_once(": ")), fields.last_mut()) {
                (Some((name, value)), _) if !name.starts_with([' ', '"']) => {
                    fields.push((name.to_owned(), value.to_owned()));
                }
                (_, Some((_, value))) => value.push_str(line),
                _ => {}
            }
        }
        fields
    }

    /// Each setter changes one field, the one of its name; and every field has one.
    fn check<O: Default + fmt::Debug>(setters: &[Setter<O>]) {
        let before = fields(&O::default());
        let names: Vec<_> = before.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, setters.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, set) in setters {
            let after = fields(&set(O::default()));
            let changed = before.iter().zip(&after).filter(|(before, after)| before != after);
            assert_eq!(changed.map(|(before, _)| &*before.0).collect::<Vec<_>>(), [*name]);
        }
    }

    #[test]
    fn every_option_has_a_setter_that_sets_it_alone() {
        check::<ServerOptions>(&[
            ("request_line", |it| it.request_line(1000)),
            ("header_section", |it| it.header_section(1000)),
            ("header_count", |it| it.header_count(10)),
            ("head_timeout", |it| it.head_timeout(Duration::from_secs(1))),
            ("body_timeout", |it| it.body_timeout(Duration::from_secs(1))),
            ("answer_timeout", |it| it.answer_timeout(Duration::from_secs(1))),
            ("keep_alive", |it| it.keep_alive(Duration::from_secs(1))),
            ("write_stall", |it| it.write_stall(Duration::from_secs(1))),
            ("slowest_client", |it| it.slowest_client(1000)),
            ("close_timeout", |it| it.close_timeout(Duration::from_secs(1))),
            ("connections", |it| it.connections(10)),
            ("connections_per_client", |it| it.connections_per_client(1000)),
            ("sessions_per_client", |it| it.sessions_per_client(1000)),
            ("buffered_bytes", |it| it.buffered_bytes(2 << 20)),
            ("mailbox_bytes", |it| it.mailbox_bytes(1000)),
            ("shutdown_grace", |it| it.shutdown_grace(Duration::from_secs(1))),
            ("trusted_proxies", |it| it.trusted_proxies(["10.0.0.0/8".parse().unwrap()])),
            ("body_size", |it| it.body_size(10)),
        ]);
        check::<EndpointOptions>(&[
            ("heartbeat_delay", |it| it.heartbeat_delay(Duration::from_secs(1))),
            ("pong_timeout", |it| it.pong_timeout(Duration::from_secs(1))),
            ("disconnect_delay", |it| it.disconnect_delay(Duration::from_secs(1))),
            ("response_limit", |it| it.response_limit(10)),
            ("transports", |it| it.transports(Transports::none())),
            ("client_url", |it| it.client_url("/sockjs.js")),
            ("base_url", |it| it.base_url("https://example.org/echo")),
            ("jsessionid", |it| it.jsessionid("Secure")),
            ("cors", |it| it.cors(false)),
            ("origins", |it| it.origins(["https://example.org"])),
            ("iframe", |it| it.iframe(false)),
            ("subprotocols", |it| it.subprotocols(vec!["v1".to_owned()])),
            ("subprotocol_required", |it| it.subprotocol_required(true)),
            ("message_size", |it| it.message_size(10)),
            ("send_queue", |it| it.send_queue(10)),
            ("overflow", |it| it.overflow(Overflow::Skip)),
            ("session_id_length", |it| it.session_id_length(10)),
            ("sessions", |it| it.sessions(10)),
            ("groups", |it| it.groups(1000)),
            ("groups_per_session", |it| it.groups_per_session(1000)),
            ("group_name_length", |it| it.group_name_length(1000)),
        ]);
        assert_eq!(EndpointOptions::default().origins(["a", "b"]).origins, ["a", "b"]);
        assert_eq!(EndpointOptions::default().base_url("a").base_url.as_deref(), Some("a"));
    }
}
