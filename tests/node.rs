//! The released `sockjs-client`, in Node, against this server: the one client that everybody uses.

mod support;
#[path = "support/tls.rs"]
mod tls;

#[path = "node/closes.rs"]
mod closes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use sockjs_server::{EndpointOptions, Handler, Refusal, Request, ServerOptions, Session};
use support::programs::run;
use support::{TestServer, endpoints};
use tls::TlsServer;

/// Installing needs the network, and is given time for it; the client itself takes seconds.
const INSTALL: Duration = Duration::from_secs(180);
const RUN: Duration = Duration::from_secs(60);

/// A folder with the client and the scripts that use it.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
        fs::create_dir_all(&folder).expect("a folder");
        for file in ["package.json", "released_client.js", "refused.js", "closes.js"] {
            fs::copy(sources.join(file), folder.join(file)).expect("copy");
        }
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&folder), INSTALL);
        folder
    })
}

#[test]
#[ignore = "needs Node and npm, and installs sockjs-client; .ci/run runs it"]
fn the_released_client_works_over_every_transport_that_node_has() {
    let server = TestServer::echo();
    let base = format!("http://{}", server.address);
    run(Command::new("node").arg("released_client.js").arg(&base).current_dir(folder()), RUN);
    assert_eq!(server.counters().messages_in, 4 * 1000, "four transports");
}

#[test]
#[ignore = "needs Node and npm, and installs sockjs-client; .ci/run runs it"]
fn the_released_client_works_over_tls() {
    let server = TlsServer::start(ServerOptions::default(), |server| {
        endpoints::mount(server, &EndpointOptions::default()).expect("mount");
    });
    let file = folder().join("certificate.pem");
    fs::write(&file, server.certificate.pem()).expect("a file");
    let base = format!("https://127.0.0.1:{}", server.secure.port());
    let mut node = Command::new("node");
    node.arg("released_client.js").arg(&base).env("NODE_EXTRA_CA_CERTS", &file).current_dir(folder());
    run(&mut node, RUN);
    let counters = server.server.counters();
    assert_eq!((counters.messages_in, counters.refused.total()), (4 * 1000, 0), "four transports");
}

/// Refuses everybody.
struct Closed;

impl Handler for Closed {
    fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
        Err(Refusal::close(4001, "no token"))
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

#[test]
#[ignore = "needs Node and npm, and installs sockjs-client; .ci/run runs it"]
fn the_released_client_tells_its_page_with_which_close_it_was_refused() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/e", Closed).expect("mount");
    });
    let url = format!("http://{}/e", server.address);
    run(Command::new("node").arg("refused.js").arg(&url).current_dir(folder()), RUN);
    let counters = server.counters();
    assert_eq!((counters.refused.not_admitted, counters.opened), (5, 0), "one attempt each");
}

#[test]
#[ignore = "needs Node and npm, and installs sockjs-client; .ci/run runs it"]
fn the_released_client_hears_of_each_end_what_the_guide_says() {
    let servers = closes::servers();
    let mut command = Command::new("node");
    command.arg("closes.js").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/close_codes.md"));
    command.args(servers.each_ref().map(|server| format!("http://{}", server.address)));
    print!("{}", run(command.current_dir(folder()), RUN));
}
