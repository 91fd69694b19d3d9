//! The process of the clients is frozen (rule 7.13): its kernel goes on acknowledging what the server sends.

use crate::vanishing::{Scene, judge};

#[test]
fn frozen_clients_are_given_up_in_time() {
    let scene = Scene::start([None, None], "127.0.0.1:0");
    let closed = scene.measure(|| scene.vanishing.freeze());
    // The clients end here: SIGKILL ends a stopped process without letting the process continue.
    drop(scene);
    judge("frozen", &closed);
}
