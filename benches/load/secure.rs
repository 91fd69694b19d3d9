//! TLS: the layer of `examples/tls` on the server's side, rustls on the client's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sockjs_server::{ListenerOptions, Server};

use crate::client::handshake;
use crate::lanes::Lane;

#[path = "../../examples/tls/layer.rs"]
#[allow(dead_code, reason = "certificates are made here")]
mod layer;

/// A certificate and its key, in PEM: the client makes them, and the server gets them as arguments.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new() -> io::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
        Ok(Self { chain: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    fn certificate(&self) -> io::Result<CertificateDer<'static>> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).map_err(io::Error::other)
    }

    /// Lets a server listen for TLS.
    pub(crate) fn listen(&self, server: &mut Server) -> io::Result<SocketAddr> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(io::Error::other)?;
        let layers = layer::Tls::new(vec![self.certificate()?], key).map_err(io::Error::other)?;
        server.listen_with("127.0.0.1:0", ListenerOptions::default().layers(layers))
    }
}

/// A raw WebSocket through TLS: `depth` messages go out together, and the next ones when all have come back.
pub(crate) struct Secure {
    stream: StreamOwned<ClientConnection, TcpStream>,
    requests: Vec<u8>,
    replies: Vec<u8>,
    buffer: Vec<u8>,
    depth: usize,
}

impl Secure {
    pub(crate) fn open(
        address: SocketAddr,
        certificate: &Certificate,
        (request, reply): (&[u8], &[u8]),
        depth: usize,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.certificate()?).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?.with_root_certificates(roots);
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let client = ClientConnection::new(Arc::new(builder.with_no_client_auth()), name);
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        let mut stream = StreamOwned::new(client.map_err(io::Error::other)?, tcp);
        stream.write_all(&handshake("/echo/websocket"))?;
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            answer.extend_from_slice(&byte);
        }
        let (requests, replies) = (request.repeat(depth), reply.repeat(depth));
        let buffer = vec![0; replies.len()];
        Ok(Self { stream, requests, replies, buffer, depth })
    }
}

impl Lane for Secure {
    fn exchange(&mut self) -> io::Result<usize> {
        self.stream.write_all(&self.requests)?;
        self.stream.flush()?;
        self.stream.read_exact(&mut self.buffer)?;
        if self.buffer != self.replies {
            return Err(io::Error::other("a wrong echo"));
        }
        Ok(self.depth)
    }
}
