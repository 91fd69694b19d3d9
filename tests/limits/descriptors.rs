//! A process that runs out of descriptors neither spins nor ends, and is back when its clients leave.

#![cfg(target_os = "linux")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::process::{end, expect_alive, ticks, with_descriptors};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::frames::text;

/// What the kernel counts processor time in, on every architecture of today.
const TICKS_PER_SECOND: f64 = 100.0;

const CLIENTS: usize = 200;

/// In which nothing happens.
const WHILE: Duration = Duration::from_secs(1);

#[test]
fn without_descriptors_the_server_waits_for_one() {
    let mut server = with_descriptors(64);
    let address = server.address();
    let mut socket = Client::connect(address);
    socket.upgrade("/echo/000/s/websocket").expect_text("o");
    let (served, comes) = mpsc::channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (served, (leave, stay)) = (served.clone(), mpsc::channel::<()>());
            let thread = std::thread::spawn(move || {
                // Not even this may be done soon: the system keeps only so many waiting.
                let mut client = Client::connect(address);
                served.send(client.ask("GET", "/echo", "", b"").status).expect("the test listens");
                stay.recv().expect_err("to leave is told by nobody being there");
            });
            (leave, thread)
        })
        .collect();

    // As many as can are served. Then the server may do anything but work hard.
    let mut waiting = CLIENTS;
    while let Ok(status) = comes.recv_timeout(WHILE) {
        assert_eq!(status, 200);
        waiting -= 1;
    }
    assert!((100..CLIENTS).contains(&waiting), "64 descriptors serve no 200 clients, but {waiting} wait");
    let (before, start) = (ticks(&server), Instant::now());
    assert!(comes.recv_timeout(WHILE).is_err(), "nobody has left");
    let share = (ticks(&server) - before) as f64 / TICKS_PER_SECOND / start.elapsed().as_secs_f64();
    assert!(share < 0.5, "it uses {share} of a processor to wait");

    // Who has a connection does not notice.
    socket.send(text("\"still\"")).expect_text("a[\"still\"]");
    expect_alive(&mut server);
    // All that leave make room for others.
    let (leaves, threads): (Vec<_>, Vec<_>) = clients.into_iter().unzip();
    drop(leaves);
    for _ in 0..waiting {
        assert_eq!(comes.recv_timeout(PATIENCE), Ok(200));
    }
    for thread in threads {
        thread.join().expect("a client was served");
    }
    socket.send(text("\"after\"")).expect_text("a[\"after\"]");
    let mut fresh = Client::connect(address);
    assert_eq!(fresh.ask("GET", "/echo", "", b"").text(), "Welcome to SockJS!\n");
    expect_alive(&mut server);
    // Neither each client that came meanwhile, nor each that left, was one more failure.
    let told = end(server);
    assert_eq!(told.matches("takes no connections for now").count(), 1, "{told}");
}
