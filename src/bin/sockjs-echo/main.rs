//! `sockjs-echo`: the test endpoints, and a page to try them by hand. Built on the public API alone.

#![forbid(unsafe_code)]

mod arguments;
mod check;
mod endpoints;
mod help;
mod json;
mod listen;
mod log;
mod output;
mod settings;
mod values;

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arguments::{Arguments, Command};
use log::Log;
use settings::Settings;
use sockjs_server::{Body, Context, Handle, MountError, Request, Response, Server};

const PAGE: &str = include_str!("page.html");

/// Where the page and the iframe find the file of `--client-js`.
const CLIENT_PATH: &str = "/sockjs-client.js";

/// Why it ends before its time.
enum Failure {
    /// An invalid argument: exit code 2.
    Arguments(String),
    /// Everything else: exit code 1.
    Run(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Run(error)
    }
}

impl From<MountError> for Failure {
    /// An option that cannot work is the command line's, by its flag.
    fn from(error: MountError) -> Self {
        let MountError::Option(error) = &error else { return Failure::Run(error.into()) };
        let text = error.to_string();
        let option = format!("option `{}`", error.option());
        Failure::Arguments(text.replacen(&option, &settings::flag_of(error.option()), 1))
    }
}

fn main() -> ExitCode {
    let outcome = match arguments::parse_os(std::env::args_os().skip(1)) {
        Ok(Command::Serve(arguments)) => serve(*arguments),
        Ok(Command::Check(check)) => match check::run(&check) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(Failure::Run(error)),
        },
        Ok(Command::Print(text)) => output::print(&text).map_err(Failure::Run),
        Err(error) => Err(Failure::Arguments(error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Arguments(error)) => {
            output::tell(format_args!("sockjs-echo: {error}\nTry: sockjs-echo --help"));
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) => {
            output::tell(format_args!("sockjs-echo: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> Result<(), Failure> {
    let Settings { server: options, mut endpoint, drain, .. } = arguments.settings;
    let client_js = match &arguments.client_js {
        Some(file) => {
            let refuse = |error| Failure::Arguments(format!("--client-js {}: {error}", file.display()));
            Some(fs::read(file).map_err(refuse)?)
        }
        None => None,
    };
    if client_js.is_some() {
        endpoint.client_url = CLIENT_PATH.to_owned();
    }
    let mut server = Server::new(options)?;
    // Before it listens, and says so: the program that started it may stop it as soon as it has read that.
    stop_on_signals(server.handle(), drain)?;
    endpoints::mount(&mut server, &endpoint)?;
    serve_page(&mut server, &endpoint.client_url, client_js);
    let mut log = Log::new(arguments.log);
    server.observe(move |event| log.event(event));
    for place in &arguments.listen {
        let place = listen::on(&mut server, place, arguments.preamble)?;
        output::print(&format!("Listening on {place}\n"))?;
    }
    let report = server.run_until_stopped()?;
    if let Some(format) = arguments.log {
        log::stopped(format, &report);
    }
    Ok(())
}

/// The page at `/`, and the client library if it is ours to serve.
fn serve_page(server: &mut Server, client_url: &str, client_js: Option<Vec<u8>>) {
    let page: Arc<str> = PAGE.replace("{{CLIENT_URL}}", &attribute(client_url)).into();
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

/// A text as the value of an HTML attribute in quotation marks.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

pub(crate) fn explain(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// SIGTERM and SIGINT shut the server down, or drain it first for so long: then it is the second signal that ends that.
/// Each of them is a byte in a socket, which wakes a thread that has nothing else to do.
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
