//! TLS as a layer: rustls on one side, `sockjs_server::Layer` on the other. It fits into any program as it stands.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use sockjs_server::{Layer, LayerError, LayerFactory, Received};

/// What one connection holds at most: rustls' keys and handshake, and a record that is not complete.
const MEMORY: usize = 96 << 10;

/// Makes the layers of a listener. To change the certificate while the server runs, keep the `Arc` where both sides
/// reach it: each connection takes the configuration that is there when it comes.
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// With this certificate, its chain behind it, and this key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, LayerError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        // The server speaks no HTTP/2: a client that insists on it hears so in the handshake (RFC 7301 §3.2).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// The same from files in PEM, as `certbot` and others write them.
    pub fn from_files(chain: &str, key: &str) -> Result<Self, LayerError> {
        let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
        Self::new(chain, PrivateKeyDer::from_pem_file(key)?)
    }
}

impl LayerFactory for Tls {
    fn layer(&mut self, _: Option<SocketAddr>) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(Connection(ServerConnection::new(Arc::clone(&self.0))?)))
    }

    fn memory(&self) -> usize {
        MEMORY
    }

    fn is_https(&self) -> bool {
        true
    }
}

struct Connection(ServerConnection);

impl Connection {
    /// Appends everything that rustls has to say.
    fn write_to(&mut self, wire: &mut Vec<u8>) -> Result<(), LayerError> {
        while self.0.wants_write() {
            self.0.write_tls(wire)?;
        }
        Ok(())
    }
}

impl Layer for Connection {
    fn receive(
        &mut self,
        mut wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<Received, LayerError> {
        while !wire.is_empty() {
            // A few kilobytes at a time: rustls wants its plain bytes to be taken in between.
            self.0.read_tls(&mut wire)?;
            let state = self.0.process_new_packets();
            // The handshake goes on; or an alert tells the client what is wrong.
            self.write_to(reply)?;
            let state = state?;
            let arrived = state.plaintext_bytes_to_read() as u64;
            self.0.reader().take(arrived).read_to_end(plain)?;
            if state.peer_has_closed() {
                return Ok(Received::Ended);
            }
        }
        Ok(Received::NeedsMore)
    }

    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
        if self.0.is_handshaking() {
            // rustls would keep the bytes, and the server would take them for sent.
            return Ok(0);
        }
        let taken = self.0.writer().write(plain)?;
        self.write_to(wire)?;
        Ok(taken)
    }

    fn close(&mut self, wire: &mut Vec<u8>) {
        if !self.0.is_handshaking() {
            self.0.send_close_notify();
            // Writing into memory does not fail.
            let _ = self.write_to(wire);
        }
    }
}
