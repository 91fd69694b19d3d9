//! Shows backpressure between a thread, the server and pages: a market feed, in which a thread has the prices, and
//! publishes them through a `Handle` to the pages that watch them.
//!
//! To see it: `cargo run --example feed [ADDRESS [RATE]]`, with the ticks of each millisecond, 1 by default, and open
//! <http://127.0.0.1:8081/>. `/ticks` says what became of the ticks. Three things to look for:
//!
//! - With a rate of 10,000 the thread is faster than the server: it is told `Busy`, and leaves ticks out, so that
//!   prices that are published are never old ones. (Look at `/ticks`: the page itself is slow then.)
//! - A page that does not read (at a rate of 20, stopped for twenty seconds in the browser's debugger) is skipped,
//!   stays connected, and costs the others nothing.
//! - When it reads again it first works through what its browser holds, for some seconds; then it is told how many
//!   ticks it missed, and what the prices are now: `on_drain`.
//!
//! A page sends `watch SYMBOL` and `unwatch SYMBOL`. It gets `SYMBOL PRICE NUMBER`, the number counting the ticks of
//! the symbol, and `gap COUNT` with the prices as they are, line by line, in one message.

#[path = "client/mod.rs"]
mod client;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use client::Client;
use sockjs_server::{
    Body, Context, Endpoint, EndpointId, EndpointOptions, Handle, HandleError, Handler, Overflow, Request,
    Response, Server, ServerOptions, Session,
};

const SYMBOLS: [&str; 4] = ["ACME", "GLOBEX", "INITECH", "UMBRELLA"];

/// What may wait for one page. At 20 bytes a tick, more than this would be old when it arrives.
const QUEUE: usize = 64 << 10;
/// What may wait for the server.
const MAILBOX: usize = 256 << 10;

const PAGE: &str = r#"<!DOCTYPE html>
<meta charset="UTF-8">
<title>Feed</title>
<pre id="prices"></pre>
<pre id="gaps"></pre>
<script>
  const prices = {};
  // Called when the client library is there.
  function start() {
    const sock = new SockJS("/feed");
    sock.onopen = () => ["ACME", "GLOBEX", "INITECH", "UMBRELLA"].forEach((symbol) => sock.send(`watch ${symbol}`));
    sock.onmessage = (event) => {
      for (const line of event.data.split("\n")) {
        const [name, ...rest] = line.split(" ");
        if (name === "gap") gaps.textContent += `${rest[0]} ticks were skipped\n`;
        else prices[name] = line;
      }
    };
    sock.onclose = (event) => { gaps.textContent += `closed: ${event.code} ${event.reason}\n`; };
  }
  setInterval(() => { document.getElementById("prices").textContent = Object.values(prices).join("\n"); }, 100);
</script>
{{CLIENT}}
"#;

/// The price of a symbol in cents, and the number of its last tick.
#[derive(Clone, Copy, Default)]
struct Quote {
    cents: u64,
    number: u64,
}

/// The prices, for pages that begin to watch, or missed something. Each symbol is a group.
struct Feed {
    quotes: BTreeMap<&'static str, Quote>,
    /// Ticks that found the server busy.
    left_out: u64,
}

impl Feed {
    fn line(&self, symbol: &str) -> Option<String> {
        let Quote { cents, number } = self.quotes.get(symbol)?;
        Some(format!("{symbol} {}.{:02} {number}", cents / 100, cents % 100))
    }

    /// A new price. It is kept and published in one step: no page sees one without the other.
    fn tick(&mut self, endpoint: &mut Endpoint<'_>, symbol: &'static str, cents: u64) {
        let quote = self.quotes.entry(symbol).or_default();
        *quote = Quote { cents, number: quote.number + 1 };
        if let Some(line) = self.line(symbol) {
            endpoint.publish(symbol, &line);
        }
    }
}

impl Handler for Feed {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let line = match text.split_once(' ') {
            Some(("watch", symbol)) => match self.line(symbol) {
                Some(line) => session.join(symbol).map(|()| line).unwrap_or_else(|error| error.to_string()),
                None => format!("{symbol} has no price"),
            },
            Some(("unwatch", symbol)) if session.leave(symbol) => return,
            _ => "watch SYMBOL, or unwatch SYMBOL".to_owned(),
        };
        // Where it is `Full`, `on_drain` tells all prices.
        let _ = session.send(&line);
    }

    fn on_drain(&mut self, session: &mut Session<'_>, skipped: u64) {
        let quotes: Vec<_> = session.groups().iter().filter_map(|symbol| self.line(symbol)).collect();
        // Nothing waits for its client now, so that there is room.
        let _ = session.send(format!("gap {skipped}\n{}", quotes.join("\n")));
    }
}

/// Makes prices, as a connection to an exchange would, until the server is gone: so many in each millisecond.
fn produce(handle: &Handle, feed: EndpointId, rate: usize) -> Result<(), HandleError> {
    let mut symbols = SYMBOLS.into_iter().cycle().zip(0_u64..);
    let mut left_out = 0;
    loop {
        for (symbol, number) in symbols.by_ref().take(rate) {
            // Up and down, and never far.
            let cents = 10_000 + number * 7919 % 401;
            let tick = move |context: &mut Context<'_>| {
                if let Some((handler, mut endpoint)) = context.handler_and_endpoint::<Feed, ()>(feed) {
                    handler.left_out += left_out;
                    handler.tick(&mut endpoint, symbol, cents);
                }
            };
            left_out = match handle.run(tick) {
                Ok(()) => 0,
                // The symbol's next price says more than this one. Where every message counts, the thread would wait
                // here and try again, and its source would wait for it.
                Err(HandleError::Busy) => left_out + 1,
                Err(error) => return Err(error),
            };
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The page, and what became of the ticks.
fn answer(feed: EndpointId, page: &Arc<str>, context: &mut Context<'_>, request: &Request<'_>) -> Response {
    let answer = |kind, body: Body| Response::new(200).header("Content-Type", kind).body(body);
    match request.path() {
        "/" => answer("text/html; charset=UTF-8", Arc::clone(page).into()),
        "/ticks" => {
            let skipped = context.counters().skipped;
            let Some(Feed { quotes, left_out }) = context.handler(feed) else { return Response::new(500) };
            let published: u64 = quotes.values().map(|quote| quote.number).sum();
            let text = format!("{published} published\n{left_out} left out\n{skipped} skipped\n");
            answer("text/plain; charset=UTF-8", text.into())
        }
        _ => Response::new(404),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8081".to_owned());
    let rate = match arguments.next() {
        Some(rate) => rate.parse().map_err(|error| format!("RATE {rate}: {error}"))?,
        None => 1,
    };
    let mut server = Server::new(ServerOptions::default().mailbox_bytes(MAILBOX))?;
    let quotes = SYMBOLS.map(|symbol| (symbol, Quote::default())).into();
    let options = EndpointOptions::default().overflow(Overflow::Skip).send_queue(QUEUE);
    let feed = server.mount_with("/feed", options, Feed { quotes, left_out: 0 })?;
    let client = Client::from_env()?;
    let page = client.page(PAGE);
    server.fallback(move |context, request, _| {
        client.answer(request.path()).unwrap_or_else(|| answer(feed, &page, context, request))
    });
    println!("Listening on http://{}/", server.listen(address)?);
    let handle = server.handle();
    thread::spawn(move || produce(&handle, feed, rate));
    Ok(server.run()?)
}
