//! Chromium against this server: `sockjs-client`, the newest and the oldest, in a page from another origin, and the page
//! of `sockjs-echo`. Needs `npm` and Chromium; `CHROMIUM` may say where it is. With a folder in `PICTURES` it leaves
//! screenshots there.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sockjs_server::{Context, EndpointOptions, Request, Response, ServerOptions, Session};
use support::TestServer;
use support::programs::run;

/// Installing needs the network, and is given time for it; the browser takes well under a minute, and `main.js` gives up
/// a little sooner, to end what it started.
const INSTALL: Duration = Duration::from_secs(180);
const RUN: Duration = Duration::from_secs(90);

const CLIENT_PATH: &str = "/sockjs.js";

/// A server whose heartbeats need no patience, and which has the client that its iframe page loads.
fn impatient(client: Vec<u8>) -> TestServer {
    TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.heartbeat_delay = Duration::from_millis(200);
        options.client_url = CLIENT_PATH.to_owned();
        server.mount_with("/heartbeat", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
        server.fallback(move |_: &mut Context<'_>, request: &Request<'_>, _: &[u8]| match request.path() {
            CLIENT_PATH => Response::new(200).header("Content-Type", "application/javascript").body(&*client),
            _ => Response::new(404),
        });
    })
}

#[test]
#[ignore = "needs Node, npm and Chromium; .ci/run runs it"]
fn a_browser_uses_every_transport_that_it_has() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&folder).expect("a folder");
    for file in ["package.json", "main.js", "servers.js", "transports.js", "client.js", "echo_page.js"] {
        fs::copy(sources.join(file), folder.join(file)).expect("copy");
    }
    run(
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&folder),
        INSTALL,
    );
    let client = fs::read(folder.join("node_modules/sockjs-client/dist/sockjs.min.js")).expect("the client");
    let server = impatient(client);
    let mut node = Command::new("node");
    node.arg("main.js").arg(env!("CARGO_BIN_EXE_sockjs-echo")).arg(format!("http://{}", server.address));
    node.args(std::env::var_os("PICTURES")).current_dir(&folder);
    print!("{}", run(&mut node, RUN));
}
