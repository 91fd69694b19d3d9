//! Connections with a layer, on sockets: what the layers hold, and what waits between them
//! and sockets that take nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use sockjs_server::{EndpointOptions, ListenerOptions, Server, ServerOptions, Session};

use crate::layer::Tls;
use crate::{IN_USE, PEAK, counted, frame, upgrade};

/// Connections of one row.
const CONNECTIONS: usize = 60;

/// A server that the test turns, and its clients, all in one thread.
struct World {
    server: Server,
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

struct Client {
    tls: ClientConnection,
    stream: TcpStream,
}

impl World {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate: CertificateDer<'static> = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let layers = Tls::new(vec![certificate.clone()], key).expect("a sound certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = listener.local_addr().expect("address");
        let options = ServerOptions::default().connections(CONNECTIONS).buffered_bytes(1 << 20);
        let options = options.body_size(0).mailbox_bytes(4 << 10);
        let mut endpoint = EndpointOptions::default().sessions(CONNECTIONS).message_size(128 << 10);
        (endpoint.groups, endpoint.groups_per_session) = (0, 0);
        let server = counted(|| {
            let mut server = Server::new(options).expect("server");
            server.add_listener(listener, ListenerOptions::default().layers(layers)).expect("it listens");
            let handler = |session: &mut Session<'_>, text: &str| _ = session.broadcast(text);
            server.mount_with("/e", endpoint, handler).expect("mount");
            server
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a sound certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
        Self { server, address, config: Arc::new(config) }
    }

    fn turn(&mut self) {
        counted(|| self.server.turn(Some(Duration::from_millis(1))).expect("turn"));
    }

    fn connect(&mut self) -> Client {
        let stream = TcpStream::connect(self.address).expect("connect");
        stream.set_nonblocking(true).expect("nonblocking");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name).expect("a sound configuration");
        tls.set_buffer_limit(None);
        Client { tls, stream }
    }

    /// A WebSocket, open.
    fn open(&mut self) -> Client {
        let mut client = self.connect();
        let mut answer = Vec::new();
        client.tls.writer().write_all(upgrade("websocket").as_bytes()).expect("memory");
        while !answer.ends_with(b"\r\n\r\n") {
            client.write();
            self.turn();
            client.read(&mut answer);
        }
        client
    }
}

impl Client {
    /// Reads what is there.
    fn read(&mut self, plain: &mut Vec<u8>) {
        while self.tls.read_tls(&mut self.stream).is_ok_and(|count| count > 0) {
            let state = self.tls.process_new_packets().expect("sound");
            let count = state.plaintext_bytes_to_read() as u64;
            self.tls.reader().take(count).read_to_end(plain).expect("memory");
        }
    }

    /// Sends as much as the server takes.
    fn write(&mut self) {
        while self.tls.wants_write() && self.tls.write_tls(&mut self.stream).is_ok() {}
    }
}

fn check(what: &str, play: impl FnOnce(&mut World)) {
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut world = World::new();
    play(&mut world);
    let ceiling = world.server.memory_ceiling();
    let used = (PEAK.load(Ordering::Relaxed) - before) as usize;
    counted(|| drop(world.server));
    println!("{what:<60} {:>6.2}", used as f64 / ceiling as f64);
    assert!(used <= ceiling, "{what}: {used} bytes were used, and {ceiling} promised");
}

pub(crate) fn check_all() {
    check("TLS: sessions that say nothing", |world| {
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| world.open()).collect();
        assert_eq!(world.server.counters().sessions, clients.len());
    });
    check("TLS: handshakes that announce much, and stop", |world| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let mut client = world.connect();
                // A hello of 65,000 bytes, in records of 16,000.
                let hello = [&[1, 0, 0xfd, 0xe8][..], &[0; 63_000]].concat();
                for record in hello.chunks(16_000) {
                    let length = u16::try_from(record.len()).expect("short").to_be_bytes();
                    client.stream.write_all(&[&[22, 3, 1][..], &length, record].concat()).expect("send");
                    world.turn();
                }
                client
            })
            .collect();
        (0..100).for_each(|_| world.turn());
        assert_eq!(world.server.counters().connections, clients.len(), "none is refused");
    });
    check("TLS: broadcasts that one client reads", |world| {
        let mut sender = world.open();
        let silent: Vec<_> = (1..CONNECTIONS).map(|_| world.open()).collect();
        for client in &silent {
            // Little of what the server sends is to be in the hands of the system.
            #[cfg(unix)]
            rustix::net::sockopt::set_socket_recv_buffer_size(&client.stream, 4096).expect("a socket");
        }
        let message = frame(0x81, 70_000, &[b'x'; 70_000]);
        let mut rounds = 0;
        // Until all sockets are full, and the room is used up.
        while world.server.counters().closed == 0 {
            sender.tls.writer().write_all(&message).expect("memory");
            let (mut read, before) = (Vec::new(), world.server.counters().messages_in);
            while world.server.counters().messages_in == before || read.len() < message.len() - 4 {
                sender.write();
                world.turn();
                sender.read(&mut read);
            }
            rounds += 1;
            assert!(rounds < 1000, "{:?}", world.server.counters());
        }
    });
}
