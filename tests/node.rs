//! The released `sockjs-client`, in Node, against this server: the one client that everybody uses.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::TestServer;
use support::programs::run;

/// Installing needs the network, and is given time for it; the client itself takes seconds.
const INSTALL: Duration = Duration::from_secs(180);
const RUN: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs Node and npm, and installs sockjs-client; .ci/run runs it"]
fn the_released_client_works_over_every_transport_that_node_has() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    fs::create_dir_all(&folder).expect("a folder");
    for file in ["package.json", "released_client.js"] {
        fs::copy(sources.join(file), folder.join(file)).expect("copy");
    }
    run(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&folder), INSTALL);
    let server = TestServer::echo();
    let base = format!("http://{}", server.address);
    run(Command::new("node").arg("released_client.js").arg(&base).current_dir(&folder), RUN);
    assert_eq!(server.counters().messages_in, 4 * 1000, "four transports");
}
