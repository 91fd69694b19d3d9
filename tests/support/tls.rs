//! TLS for tests: the layer of `examples/tls`, a certificate for it, and clients that trust that. Not a part of
//! `support` itself: only the tests that need it are to compile it.

#![allow(dead_code, reason = "each test binary uses its own part")]

#[path = "../../examples/tls/layer.rs"]
mod layer;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

pub use layer::Tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use sockjs_server::{ListenerOptions, Preamble, Server, ServerOptions};

use crate::support::{PATIENCE, TestServer};

/// A client's connection, blocking.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for `localhost` and 127.0.0.1 of its own.
pub struct Certificate {
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    pub fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        Self { made: rcgen::generate_simple_self_signed(names).expect("a certificate") }
    }

    pub fn pem(&self) -> String {
        self.made.cert.pem()
    }

    pub fn key_pem(&self) -> String {
        self.made.signing_key.serialize_pem()
    }

    /// The public key, as a browser's flag wants it hashed.
    pub fn public_key(&self) -> Vec<u8> {
        use rcgen::PublicKeyData;
        self.made.signing_key.subject_public_key_info()
    }

    pub fn layers(&self) -> Tls {
        let key = PrivatePkcs8KeyDer::from(self.made.signing_key.serialize_der());
        Tls::new(vec![self.der()], PrivateKeyDer::Pkcs8(key)).expect("a sound certificate")
    }

    fn der(&self) -> CertificateDer<'static> {
        self.made.cert.der().clone()
    }

    /// The client's side of a connection, before its first byte.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a sound certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).expect("versions that ring has");
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        ClientConnection::new(Arc::new(config), name).expect("a sound configuration")
    }
}

/// A server with a plain listener and one for TLS.
pub struct TlsServer {
    pub server: TestServer,
    pub secure: SocketAddr,
    pub certificate: Certificate,
}

impl TlsServer {
    pub fn start(options: ServerOptions, mount: impl FnOnce(&mut Server)) -> Self {
        Self::start_with(options, Preamble::None, mount)
    }

    pub fn start_with(options: ServerOptions, preamble: Preamble, mount: impl FnOnce(&mut Server)) -> Self {
        let certificate = Certificate::new();
        let mut secure = None;
        let server = TestServer::start(options, |server| {
            let options = ListenerOptions::default().preamble(preamble).layers(certificate.layers());
            secure = Some(server.listen_with("127.0.0.1:0", options).expect("listen"));
            mount(server);
        });
        Self { server, secure: secure.expect("it listens"), certificate }
    }

    /// A connection, its handshake done.
    pub fn connect(&self) -> Stream {
        self.connect_with(&[&rustls::version::TLS13])
    }

    pub fn connect_with(&self, versions: &[&'static SupportedProtocolVersion]) -> Stream {
        shake_hands(self.certificate.client(versions), self.tcp()).expect("a handshake")
    }

    /// A connection without a byte of TLS so far.
    pub fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.secure).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        stream
    }
}

pub fn shake_hands(mut client: ClientConnection, mut stream: TcpStream) -> io::Result<Stream> {
    while client.is_handshaking() {
        client.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(client, stream))
}
