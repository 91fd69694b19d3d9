//! An echo on another WebSocket library: `peers NAME` serves it on a free port, which it prints, until its standard
//! input is closed. For `cargo bench --bench load -- --peers PATH`.
//!
//! Each library is used as its own documents show it, on one thread. Where it lets a program say when messages are
//! written, those that have come together are answered together, as our server does.

use std::io::{self, Read};

use base64::Engine;
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;
use tokio_websockets::ServerBuilder;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let name = std::env::args().nth(1).unwrap_or_default();
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(&name))
}

async fn serve(name: &str) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match name {
            "tungstenite" => tokio::task::spawn_local(async { drop(tungstenite(stream).await) }),
            "tokio-websockets" => tokio::task::spawn_local(async { drop(tokio_websockets(stream).await) }),
            "fastwebsockets" => tokio::task::spawn_local(async { drop(fastwebsockets(stream).await) }),
            _ => return Err("the names are tungstenite, tokio-websockets, fastwebsockets".into()),
        };
    }
}

async fn tungstenite(stream: TcpStream) -> Outcome {
    let socket = tokio_tungstenite::accept_async(stream).await?;
    echo(socket, tungstenite::Message::is_text).await
}

async fn tokio_websockets(stream: TcpStream) -> Outcome {
    let (_, socket) = ServerBuilder::new().accept(stream).await?;
    echo(socket, tokio_websockets::Message::is_text).await
}

/// Messages that have come already are answered before the answers are written.
async fn echo<M, E, S>(mut socket: S, is_text: fn(&M) -> bool) -> Outcome
where
    E: std::error::Error + 'static,
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    loop {
        let next = match socket.next().now_or_never() {
            Some(next) => next,
            None => {
                socket.flush().await?;
                socket.next().await
            }
        };
        let Some(message) = next.transpose()? else { return Ok(()) };
        if is_text(&message) {
            socket.feed(message).await?;
        }
    }
}

/// The handshake is the program's here.
async fn fastwebsockets(mut stream: TcpStream) -> Outcome {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let key =
        fields.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).map(|(_, key)| key).next();
    let hash = Sha1::new()
        .chain_update(key.ok_or("no key")?)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let accept = base64::engine::general_purpose::STANDARD.encode(hash);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
