//! `sockjs-echo`: the test endpoints, and a page to try them by hand. Built on the public API alone.

#![forbid(unsafe_code)]

mod arguments;
mod endpoints;
mod listen;
mod output;

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arguments::{Arguments, Command, QUEUED_MESSAGES};
use sockjs_server::{
    Body, Context, EndpointOptions, Event, Handle, Request, Response, Server, ServerOptions,
};

/// How long stopping may take: the user, or the service manager, waits for it.
const GRACE: Duration = Duration::from_secs(3);

const PAGE: &str = include_str!("page.html");

/// Where the page and the iframe find the file of `--client-js`.
const CLIENT_PATH: &str = "/sockjs-client.js";

fn main() -> ExitCode {
    let outcome = match arguments::parse_os(std::env::args_os().skip(1)) {
        Ok(Command::Serve(arguments)) => serve(&arguments),
        Ok(Command::Print(text)) => output::print(&text),
        Err(error) => {
            output::tell(format_args!("sockjs-echo: {error}\nTry: sockjs-echo --help"));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(format_args!("sockjs-echo: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let mut endpoint = EndpointOptions::default();
    if let Some(limit) = arguments.message_limit {
        endpoint.message_size = limit;
    }
    endpoint.send_queue = endpoint.send_queue.max(endpoint.message_size.saturating_mul(QUEUED_MESSAGES));
    let client_js = match &arguments.client_js {
        Some(file) => Some(fs::read(file).map_err(|error| explain(&file.to_string_lossy(), error))?),
        None => None,
    };
    if client_js.is_some() {
        endpoint.client_url = CLIENT_PATH.to_owned();
    }
    let mut options = ServerOptions::default();
    options.trusted_proxies.clone_from(&arguments.trusted_proxies);
    options.shutdown_grace = GRACE;
    let mut server = Server::new(options)?;
    // Before it listens, and says so: the program that started it may stop it as soon as it has read that.
    stop_on_signals(server.handle(), arguments.drain)?;
    endpoints::mount(&mut server, &endpoint)?;
    serve_page(&mut server, &endpoint.client_url, client_js);
    let verbose = arguments.verbose;
    server.observe(move |event| {
        // The operator must see that a listener fails, with or without a log.
        if verbose || matches!(event, Event::ListenerFailed { .. }) {
            log(event);
        }
    });
    for place in &arguments.listen {
        let place = listen::on(&mut server, place, arguments.preamble)?;
        output::print(&format!("Listening on {place}\n"))?;
    }
    let report = server.run_until_stopped()?;
    if arguments.verbose {
        output::tell(format_args!(
            "stopped: {} sessions and {} connections were cut",
            report.sessions_cut, report.connections_cut
        ));
    }
    Ok(())
}

/// The page at `/`, and the client library if it is ours to serve.
fn serve_page(server: &mut Server, client_url: &str, client_js: Option<Vec<u8>>) {
    let page: Arc<str> = PAGE.replace("{{CLIENT_URL}}", client_url).into();
    let client_js: Option<Arc<[u8]>> = client_js.map(Arc::from);
    server.fallback(move |_: &mut Context<'_>, request: &Request<'_>, _: &[u8]| {
        let (kind, body) = match (request.path(), &client_js) {
            ("/", _) => ("text/html; charset=UTF-8", Body::from(Arc::clone(&page))),
            (CLIENT_PATH, Some(script)) => {
                ("application/javascript; charset=UTF-8", Body::from(Arc::clone(script)))
            }
            _ => {
                return Response::new(404)
                    .header("Content-Type", "text/plain; charset=UTF-8")
                    .body("Not Found\n");
            }
        };
        match request.method() {
            "GET" | "HEAD" => Response::new(200).header("Content-Type", kind).body(body),
            "OPTIONS" => Response::new(204).header("Allow", "OPTIONS, GET, HEAD"),
            _ => Response::new(405).header("Allow", "OPTIONS, GET, HEAD"),
        }
    });
}

fn log(event: &Event<'_>) {
    match event {
        Event::Opened { session, endpoint, request } => {
            let transport = request.transport().map_or("", |transport| transport.name());
            let peer = request.peer().map_or("a Unix socket".to_owned(), |peer| peer.to_string());
            output::tell(format_args!("{session} opened: {endpoint} by {transport} from {peer}"));
        }
        Event::Closed { session, close, .. } => output::tell(format_args!("{session} closed: {close}")),
        Event::Refused { peer, status } => {
            let peer = peer.map_or("a Unix socket".to_owned(), |peer| peer.to_string());
            output::tell(format_args!("refused with {status}: {peer}"));
        }
        Event::ListenerFailed { address, error, is_final } => {
            let place = address.map_or("a Unix socket".to_owned(), |address| address.to_string());
            let what = if *is_final { "does not listen any more" } else { "takes no connections for now" };
            output::tell(format_args!("{place} {what}: {error}"));
        }
        Event::Panicked { session } => output::tell(format_args!("a handler panicked: {session:?}")),
        _ => {}
    }
}

pub(crate) fn explain(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// SIGTERM and SIGINT shut the server down, or drain it first for so long: then it is the second signal that ends that. Each of
/// them is a byte in a socket, which wakes a thread that has nothing else to do.
#[cfg(all(unix, feature = "signals"))]
fn stop_on_signals(handle: Handle, patience: Duration) -> io::Result<()> {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    let (mut wakes, signalled) = UnixStream::pair()?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    std::thread::spawn(move || {
        let mut wait = || wakes.read_exact(&mut [0]).is_ok();
        let is_told = wait();
        // Where it cannot be told to drain, it is shut down.
        let drains =
            is_told && !patience.is_zero() && handle.drain(patience, 1001, "Server shutdown").is_ok();
        if is_told && (!drains || wait()) {
            handle.shutdown();
        }
    });
    Ok(())
}

#[cfg(not(all(unix, feature = "signals")))]
fn stop_on_signals(_: Handle, _: Duration) -> io::Result<()> {
    Ok(())
}
