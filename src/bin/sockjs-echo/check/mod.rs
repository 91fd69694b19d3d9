//! `--check`: every transport of an endpoint is tried, and a table says what came of it.
//!
//! `address`, `http`, `frames` and `websocket` are pure: bytes or text in, values out. `connection` alone has a socket;
//! `exchange` sends requests over it, and `transports` says what is done over each transport.

mod address;
mod connection;
mod exchange;
mod frames;
mod http;
mod problem;
mod table;
mod transports;
mod websocket;

use std::io;
use std::time::Instant;

use sockjs_server::Transport;

use crate::arguments::Check;
use crate::output;
pub(crate) use address::Address;
use exchange::{Client, Request};
use frames::Info;
use problem::Problem;
use transports::Outcome;

/// The order of the table: that in which `sockjs-client` tries them, with the one that is not its own behind the first.
const TRANSPORTS: [Transport; 7] = [
    Transport::WebSocket,
    Transport::RawWebSocket,
    Transport::XhrStreaming,
    Transport::EventSource,
    Transport::HtmlFile,
    Transport::XhrPolling,
    Transport::JsonpPolling,
];

/// Tries every transport, prints the table as it grows, and says whether all works that the server offers.
///
/// # Errors
/// The standard output's.
pub(crate) fn run(check: &Check) -> io::Result<bool> {
    let Check { address, origin, .. } = check;
    output::print(&format!("{}\n{}", check.url, table::HEAD))?;
    let mut client = Client::new(address, check.timeout, origin.as_deref());
    let start = Instant::now();
    let info = ask_info(&mut client);
    let row = Outcome {
        is_open: info.is_ok(),
        latency: info.is_ok().then(|| start.elapsed()),
        ..Outcome::default()
    };
    match info {
        Ok((info, base)) => {
            output::print(&table::info(&row, info.websocket))?;
            let address = base.as_ref().unwrap_or(address);
            try_all(check, address, info.websocket)
        }
        Err(problem) => {
            output::print(&table::row("info", &Outcome { problem: Some(problem), ..row }))?;
            Ok(false)
        }
    }
}

/// Asks for `/info`, and where everything else is.
fn ask_info(client: &mut Client<'_>) -> Result<(Info, Option<Address>), Problem> {
    let fields = "Connection: close\r\n";
    let request = Request { method: "GET", path: "/info", fields, body: "" };
    let mut connection = client.connect()?;
    let text = client.ask(&mut connection, &request, "answer to /info")?;
    let info = Info::parse(&text).ok_or(Problem::NotInfo)?;
    let base = match &info.base_url {
        Some(url) => Some(Address::parse(url).map_err(|_| Problem::BaseUrl(url.clone()))?),
        None => None,
    };
    Ok((info, base))
}

fn try_all(check: &Check, address: &Address, has_websocket: bool) -> io::Result<bool> {
    let (mut working, mut offered) = (0, 0);
    for transport in TRANSPORTS {
        // Each has cookies of its own, as if it were a browser of its own.
        let mut client = Client::new(address, check.timeout, check.origin.as_deref());
        let outcome = transports::try_out(&mut client, transport);
        // `/info` speaks of one transport alone. What it promises must be there.
        let is_promised = transport == Transport::WebSocket && has_websocket;
        if is_promised || !outcome.is_off() {
            offered += 1;
            working += usize::from(outcome.problem.is_none());
            output::print(&table::row(transport.name(), &outcome))?;
        } else {
            output::print(&table::off(transport.name()))?;
        }
    }
    output::print(&format!("{working} of {offered} transports work that the server offers\n"))?;
    Ok(working == offered && offered > 0)
}
