//! Shows the server as a guest in another event loop. The loop has a source of events of its own, a UDP socket: each
//! datagram is broadcast to all sessions, as a daemon would pass on what its sensors say.
//!
//! To see it: `cargo run --example foreign_poll [ADDRESS]`, `websocat ws://127.0.0.1:8081/news/websocket`, and
//! `echo hello | nc -u -w0 127.0.0.1 PORT`, with the port for datagrams that the example prints (or, in bash,
//! `echo hello > /dev/udp/127.0.0.1/PORT`).
//!
//! The outer loop is mio's here. With epoll, `poll(2)`, GLib or libuv it is the same: watch the server's descriptor for
//! reading, sleep no longer than `next_timeout`, and give the server a turn when either says so.

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};
    use sockjs_server::{Server, ServerOptions, Session};

    const SERVER: Token = Token(0);
    const SENSORS: Token = Token(1);

    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".to_owned());
    let mut server = Server::new(ServerOptions::default())?;
    let news = server.mount("/news", |_: &mut Session<'_>, _: &str| {})?;
    let address = server.listen(address)?;

    let sensors = UdpSocket::bind((address.ip(), 0))?;
    sensors.set_nonblocking(true)?;

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    poll.registry().register(&mut SourceFd(&server.as_raw_fd()), SERVER, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&sensors.as_raw_fd()), SENSORS, Interest::READABLE)?;
    println!("Listening on http://{address}/news and for datagrams on {}", sensors.local_addr()?);

    let mut datagram = [0; 2048];
    loop {
        match poll.poll(&mut events, server.next_timeout()) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if events.iter().any(|event| event.token() == SENSORS) {
            // mio tells only once that there is something to read, so this reads until nothing is left.
            while let Ok(length) = sensors.recv(&mut datagram) {
                server.endpoint(news).broadcast(&String::from_utf8_lossy(&datagram[..length]));
            }
        }
        // Whether it was the descriptor, the time-out or the broadcast: a turn never sleeps
        // here, and one too many is cheap.
        server.turn(Some(Duration::ZERO))?;
    }
}

#[cfg(not(unix))]
fn main() {
    eprintln!("This example needs descriptors, as Unix has them.");
}
