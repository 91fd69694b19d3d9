//! The link to the clients is cut (rule 7.13): the server gets neither FIN nor RST from them.

use std::io::Write;

use crate::namespaces::{self, Link};
use crate::vanishing::{Scene, judge};

#[test]
fn clients_behind_a_cut_link_are_given_up_in_time() {
    let link = match Link::make() {
        Ok(link) => link,
        Err(reason) => {
            // The line goes past the test harness, because the harness hides what a passing test prints.
            let line = format!("SKIPPED: network namespaces may not be made here ({reason})\n");
            std::io::stderr().write_all(line.as_bytes()).expect("stderr");
            return;
        }
    };
    let [server, client] = link.namespaces.clone();
    let address = format!("{}:0", Link::SERVER);
    let scene = Scene::start([Some(&server), Some(&client)], &address);
    let closed = scene.measure(|| link.cut());
    drop(scene);
    drop(link);
    assert!(!namespaces::exists(&server) && !namespaces::exists(&client), "the namespaces are removed");
    judge("cut", &closed);
}
