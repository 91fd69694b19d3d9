//! Real browsers against this server. Chromium: `sockjs-client`, the newest and the oldest, in a page from
//! another origin, and the page of `sockjs-echo`. Chromium and Firefox: that page's table of transports, with
//! nothing in between and with a bad proxy, and what hostile pages do to an endpoint that lists its origins.
//! Needs `npm` and the browsers; `CHROMIUM` and `FIREFOX` may say where they are. With a folder in `PICTURES` the
//! page's test leaves screenshots there.

mod support;
#[path = "support/tls.rs"]
mod tls;

#[path = "browser/victim.rs"]
mod victim;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sockjs_server::{
    Context, EndpointOptions, Handler, Refusal, Request, Response, Server, ServerOptions, Session,
};
use support::TestServer;
use support::programs::run;
use tls::TlsServer;

/// Installing needs the network, and is given time for it; a browser takes about a minute, and the scripts give up a
/// little before theirs is over, to end what they started.
const INSTALL: Duration = Duration::from_secs(180);
const RUN: Duration = Duration::from_secs(170);

const CLIENT: &str = "node_modules/sockjs-client/dist/sockjs.min.js";
const CLIENT_PATH: &str = "/sockjs.js";

/// The scripts in a folder of their own, with what they need from npm; once for all tests.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        fs::create_dir_all(&folder).expect("a folder");
        for entry in
            fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")).expect("sources")
        {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "js" || extension == "json") {
                fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("copy");
            }
        }
        run(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                .current_dir(&folder),
            INSTALL,
        );
        folder
    })
}

/// Runs a script of the folder, one at a time: each may use all of the machine.
fn node<I: IntoIterator<Item: AsRef<OsStr>>>(script: &str, arguments: I) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    print!("{}", run(Command::new("node").arg(script).args(arguments).current_dir(folder()), RUN));
}

/// Refuses all.
struct Refusing;

impl Handler for Refusing {
    fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
        Err(Refusal::close(4001, "no token"))
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

/// A server whose heartbeats need no patience, and which has the client that its iframe page loads; with an endpoint
/// that refuses all, and one that cuts its sessions off.
fn impatient(client: Vec<u8>) -> TestServer {
    TestServer::start(ServerOptions::default(), |server| {
        let options = EndpointOptions::default().client_url(CLIENT_PATH);
        let heartbeats = options.clone().heartbeat_delay(Duration::from_millis(200));
        server.mount_with("/heartbeat", heartbeats, |_: &mut Session<'_>, _: &str| {}).expect("mount");
        server.mount_with("/refused", options.clone(), Refusing).expect("mount");
        let terminate = |session: &mut Session<'_>, _: &str| session.terminate();
        server.mount_with("/terminate", options, terminate).expect("mount");
        serve_client(server, client);
    })
}

/// Answers with the client that iframe pages load, and with the number of refusals.
fn serve_client(server: &mut Server, client: Vec<u8>) {
    server.fallback(move |context: &mut Context<'_>, request: &Request<'_>, _: &[u8]| match request.path() {
        CLIENT_PATH => {
            Response::new(200).header("Content-Type", "application/javascript").body(client.clone())
        }
        "/attempts" => Response::new(200).body(context.counters().refused.not_admitted.to_string()),
        _ => Response::new(404),
    });
}

#[test]
#[ignore = "needs Node, npm and Chromium; .ci/run runs it"]
fn a_browser_uses_every_transport_that_it_has() {
    let client = fs::read(folder().join(CLIENT)).expect("the client");
    let server = impatient(client);
    let heartbeats = format!("http://{}", server.address);
    node("main.js", [env!("CARGO_BIN_EXE_sockjs-echo"), &heartbeats]);
}

#[test]
#[ignore = "needs Node, npm and Chromium; .ci/run runs it"]
fn the_page_shows_what_goes_over_every_transport() {
    let mut arguments = vec![env!("CARGO_BIN_EXE_sockjs-echo").into()];
    arguments.extend(std::env::var_os("PICTURES"));
    node("page.js", arguments);
}

/// The browser takes the certificate for good by the hash of its key.
#[test]
#[ignore = "needs Node, npm and Chromium; .ci/run runs it"]
fn a_browser_uses_every_transport_over_tls() {
    let library = folder().join(CLIENT);
    let client = fs::read(&library).expect("the client");
    let server = TlsServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.client_url = CLIENT_PATH.to_owned();
        support::endpoints::mount(server, &options).expect("mount");
        serve_client(server, client);
    });
    let hash = Command::new("node")
        .args([
            "-p",
            "require('crypto').createHash('sha256').update(process.argv[1], 'hex').digest('base64')",
        ])
        .arg(server.certificate.public_key().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .output()
        .expect("node");
    let hash = String::from_utf8(hash.stdout).expect("base64");
    let url = format!("https://127.0.0.1:{}", server.secure.port());
    // As many as without TLS; `ECHOES=1000` asks for more.
    let echoes = std::env::var("ECHOES").map_or(200, |echoes| echoes.parse().expect("a number"));
    let count = echoes.to_string();
    node("secure.js", [OsStr::new(&url), OsStr::new(hash.trim()), library.as_os_str(), OsStr::new(&count)]);
    let counters = server.server.counters();
    assert_eq!((counters.messages_in, counters.refused.total()), (8 * echoes + 8, 0));
}

/// The page of `sockjs-echo` tries every transport in this browser, and says of those that fail why.
fn try_every_transport(browser: &str) {
    node("table.js", [browser, env!("CARGO_BIN_EXE_sockjs-echo")]);
}

#[test]
#[ignore = "needs Node, npm and Chromium; .ci/run runs it"]
fn the_page_tries_every_transport_in_chromium() {
    try_every_transport("chromium");
}

#[test]
#[ignore = "needs Node, npm and Firefox; .ci/run runs it"]
fn the_page_tries_every_transport_in_firefox() {
    try_every_transport("firefox");
}

/// What hostile pages in this browser can do to an endpoint that lists its origins, and what a listed page can.
/// `HEADERS` prints what each attack carries as well.
fn attack(browser: &str) {
    let files = victim::Files::new(&folder().join(CLIENT), folder());
    let pages = victim::pages(files.clone());
    let port = pages.address.port();
    // The names are those that the script makes known to the browser.
    let server = victim::victim(files, &format!("http://friend.test:{port}"), &["127.0.0.1", "victim.test"]);
    node("hostile.js", [browser, &server.address.port().to_string(), &port.to_string()]);
}

#[test]
#[ignore = "needs Node, npm and Chromium; .ci/run runs it"]
fn a_hostile_page_reads_and_sends_nothing_in_chromium() {
    attack("chromium");
}

#[test]
#[ignore = "needs Node, npm and Firefox; .ci/run runs it"]
fn a_hostile_page_reads_and_sends_nothing_in_firefox() {
    attack("firefox");
}
