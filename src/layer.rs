//! What may stand between the sockets and the server: TLS, a cipher of one's own, a tunnel. Bytes in, bytes out; a
//! layer has no socket and no clock.

use std::error::Error;
use std::net::SocketAddr;

/// Why a layer gives a connection up: any error of the program's, or a text.
pub type LayerError = Box<dyn Error + Send + Sync>;

/// Plain bytes that are enough for one call of [`Layer::receive`]: 64 KiB. A layer that has more than that to give says
/// [`Received::HasMore`].
pub const PLAIN_AT_ONCE: usize = 64 << 10;

/// The bytes of one connection on their way between the wire and the server.
///
/// The server speaks HTTP and WebSocket in **plain bytes**. On the wire of a listener, or a connection, with a
/// layer are other bytes, the **wire bytes**, and the layer makes the ones of the others. It never sees a
/// socket: the server reads, hands over what it read, and writes what it is given, so that every rule below
/// can be tested with two vectors.
///
/// # The calls
///
/// All calls are on the server's thread, one at a time, in an order that the wire determines:
///
/// 1. [`receive`](Self::receive), for whatever arrived, however it was cut into packets: one byte at a time or 64
///    KiB. It appends plain bytes to one vector, and to another what the layer itself has to say: its part of a
///    handshake, an acknowledgement.
/// 2. [`send`](Self::send), when the server has something to say: plain bytes become wire bytes. Not before the client
///    has asked something, since neither HTTP nor WebSocket begins with the server.
/// 3. [`close`](Self::close), at most once, behind the last plain byte: the layer says that no more will come.
///    `receive` may still be called, until the client ends too.
/// 4. The layer is dropped, at any time: the client is gone, or too slow, or the server stops.
///
/// What a call appends to a vector leaves in the order in which it was appended, and before anything of a
/// later call. The vectors may have content; a layer only appends to them. After an error, and after a
/// panic, no method is called any more.
///
/// # What the server does around it
///
/// - **Time.** The handshake and the first request's head have [`head_timeout`](crate::ServerOptions::head_timeout)
///   together, from the accept on; a handshake that stalls ends with it. From `close` on the client has
///   [`close_timeout`](crate::ServerOptions::close_timeout) for its own end. Wire bytes that a client does not take are
///   the same as plain ones that it does not take: [`write_stall`](crate::ServerOptions::write_stall).
/// - **Backpressure.** A plain byte counts as sent when its wire bytes have left. The server hands over at most 32 KiB
///   at once, and none while wire bytes are waiting for the socket. It reads no more while the plain bytes that it has
///   are not dealt with, and while 16 KiB of a layer's own wire bytes are waiting.
/// - **Memory.** Wire bytes that the socket does not take are a part of
///   [`buffered_bytes`](crate::ServerOptions::buffered_bytes). What the layer itself holds it says in
///   advance: [`LayerFactory::memory`].
/// - **Ends.** [`Received::Ended`] is the end of the client's stream, whether or not the connection ends too. The end
///   of the connection without it is one as well: HTTP and WebSocket tell by themselves whether a message is whole, so
///   that a cut can hide nothing that they would take for complete.
/// - **Errors.** An error ends the connection at once. What the layer appended before goes out as far as the socket
///   takes it: an alert, say. [`Event::LayerFailed`](crate::Event::LayerFailed) tells the observer, and
///   [`Refusals::malformed`](crate::Refusals::malformed) counts it. A panic ends the connection too, and no other one.
/// - **Turns.** Handshakes cost more than messages. Of connections from which no plain byte has
///   come, 32 are read in one turn.
///
/// Layers have no timers: one that wants to be heard from time to time, to keep a tunnel open, leaves
/// that to the server's heartbeats.
///
/// # Example
///
/// The whole of a layer, which hides little: each byte is combined with a key of one byte.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{SocketAddr, TcpStream};
/// use sockjs_server::{
///     Layer, LayerError, LayerFactory, ListenerOptions, Received, Response, Server, ServerOptions,
/// };
///
/// struct Xor(u8);
///
/// impl Layer for Xor {
///     fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<Received, LayerError> {
///         plain.extend(wire.iter().map(|byte| byte ^ self.0));
///         Ok(Received::NeedsMore)
///     }
///
///     fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
///         wire.extend(plain.iter().map(|byte| byte ^ self.0));
///         Ok(plain.len())
///     }
///
///     // The end of the connection says enough.
///     fn close(&mut self, _: &mut Vec<u8>) {}
/// }
///
/// /// Makes the layers of a listener, all with the same key.
/// struct Key(u8);
///
/// impl LayerFactory for Key {
///     fn layer(&mut self, _: Option<SocketAddr>) -> Result<Box<dyn Layer>, LayerError> {
///         Ok(Box::new(Xor(self.0)))
///     }
///
///     fn memory(&self) -> usize {
///         size_of::<Xor>()
///     }
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let mut server = Server::new(ServerOptions::default())?;
/// let hidden = server.listen_with("127.0.0.1:0", ListenerOptions::default().layers(Key(0x2a)))?;
/// server.fallback(|_, _, _| Response::new(200).body("Hello!\n"));
/// let handle = server.handle();
/// let running = std::thread::spawn(move || server.run());
///
/// let mut client = TcpStream::connect(hidden)?;
/// let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
/// client.write_all(&request.map(|byte| byte ^ 0x2a))?;
/// let mut answer = Vec::new();
/// client.read_to_end(&mut answer)?;
/// let answer: Vec<_> = answer.iter().map(|byte| byte ^ 0x2a).collect();
/// assert!(answer.ends_with(b"\r\n\r\nHello!\n"));
/// # handle.shutdown();
/// # running.join().unwrap()
/// # }
/// ```
///
/// `examples/tls.rs` is TLS, with rustls.
pub trait Layer: Send {
    /// Wire bytes have arrived: at most 64 KiB. The layer takes all of them. It appends to `plain` the plain bytes that
    /// they complete, and to `reply` the wire bytes with which it answers by itself. What is not complete it keeps.
    ///
    /// Where `plain` has reached [`PLAIN_AT_ONCE`] and there is more, the layer keeps that, and says
    /// [`Received::HasMore`]: it is called again, with no wire bytes, when the server has room. A layer that appends
    /// four times as much in one call has failed.
    ///
    /// # Errors
    /// The connection cannot go on: the bytes are none of this layer's, or were changed on the way.
    fn receive(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<Received, LayerError>;

    /// Turns plain bytes, one at least, into wire bytes, which it appends to `wire`: all those that the plain bytes
    /// need, so that the client can read them. Returns how many plain bytes it took. The others are offered again, in
    /// front of those that come later: at once, or, where it took none, after the next call of
    /// [`receive`](Self::receive). So a layer that cannot speak yet, because its handshake is not complete, takes none.
    ///
    /// # Errors
    /// The connection cannot go on.
    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError>;

    /// The last plain byte was sent: appends what tells the client that no more will come, such as the `close_notify`
    /// of TLS (RFC 8446 §6.1). What it appends leaves, then the sending side of the socket is shut. On a connection
    /// that is about to be dropped, because its client has ended or was idle for too long, it leaves as far as the
    /// socket takes it at once. A layer whose handshake is not complete appends nothing, or why it gives up.
    fn close(&mut self, wire: &mut Vec<u8>);
}

/// What a layer says behind [`Layer::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// All plain bytes that have arrived are there: the next ones come with more wire bytes.
    NeedsMore,
    /// There are more plain bytes. The layer is called again with no wire bytes.
    HasMore,
    /// The client has said that it sends no more, as by the `close_notify` of TLS. What it
    /// sends all the same is ignored.
    Ended,
}

/// Makes the layers of a listener.
pub trait LayerFactory: Send {
    /// Makes the layer of a connection, which comes from this address; `None`: through a Unix socket. In front of a
    /// listener for [`Preamble::Proxy`](crate::Preamble::Proxy) it is the load balancer's: the header comes first, in
    /// plain bytes, and is not the layer's.
    ///
    /// # Errors
    /// The connection gets no layer: it is closed, and [`Event::LayerFailed`](crate::Event::LayerFailed) tells why.
    fn layer(&mut self, peer: Option<SocketAddr>) -> Result<Box<dyn Layer>, LayerError>;

    /// Bytes of memory that one layer holds at most, itself included: keys, the state of a handshake, bytes that are
    /// not complete. It is a part of [`Server::memory_ceiling`](crate::Server::memory_ceiling), once for each of the
    /// [`connections`](crate::ServerOptions::connections), and asked for when a listener or connection is added.
    fn memory(&self) -> usize;

    /// Whether clients name what these layers speak `https` and `wss`: [`Request::is_https`](crate::Request::is_https)
    /// says so then. `false` unless it is overridden.
    fn is_https(&self) -> bool {
        false
    }
}
