//! Shows TLS in the process: `https://` and `wss://` on one port, and a second, plain listener beside it.
//! `layer.rs` is all that is TLS.
//!
//! To see it: `cargo run --example tls [ADDRESS [PLAIN_ADDRESS [CERTIFICATE KEY]]]`, and open
//! <https://localhost:8443/>. The browser warns of a certificate that it does not know.
//!
//! CERTIFICATE and KEY are files in PEM. Without them a certificate for `localhost` is made on the spot, for a try; the
//! plain listener hands it out:
//!
//! ```text
//! curl -o certificate.pem http://127.0.0.1:8081/certificate.pem
//! curl --cacert certificate.pem https://localhost:8443/
//! ```

#[path = "../client/mod.rs"]
mod client;
mod layer;

use std::net::SocketAddr;
use std::sync::Arc;

use client::Client;
use layer::Tls;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sockjs_server::{Event, LayerError, ListenerOptions, Request, Response, Server, ServerOptions, Session};

const PAGE: &str = r#"<!DOCTYPE html>
<meta charset="UTF-8">
<title>Echo</title>
<p>The echo: <output id="echo"></output></p>
<script>
  // Called when the client library is there.
  function start() {
    const show = (text) => { document.getElementById("echo").textContent = text; };
    const sock = new SockJS("/echo");
    sock.onopen = () => sock.send("hello from " + location.protocol);
    sock.onmessage = (event) => show(event.data);
    sock.onclose = (event) => show(`closed: ${event.code} ${event.reason}`);
  }
</script>
{{CLIENT}}
"#;

/// A certificate of its own, and its text for clients that are to trust it.
fn made_on_the_spot() -> Result<(Tls, String), LayerError> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    Ok((Tls::new(vec![made.cert.der().clone()], key)?, made.cert.pem()))
}

fn answer(request: &Request<'_>, secure: SocketAddr, page: &Arc<str>, certificate: &str) -> Response {
    match request.path() {
        // A browser that was given the address alone comes by http.
        "/" if !request.is_https() => {
            let hint = format!("The page is at https://{secure}/. Its certificate is at /certificate.pem.\n");
            Response::new(200).header("Content-Type", "text/plain; charset=UTF-8").body(hint)
        }
        "/" => Response::new(200).header("Content-Type", "text/html; charset=UTF-8").body(Arc::clone(page)),
        "/certificate.pem" => {
            Response::new(200).header("Content-Type", "application/x-pem-file").body(certificate.to_owned())
        }
        _ => Response::new(404),
    }
}

fn main() -> Result<(), LayerError> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8443".to_owned());
    let plain = arguments.next().unwrap_or("127.0.0.1:8081".to_owned());
    let (tls, certificate) = match (arguments.next(), arguments.next()) {
        (Some(certificate), Some(key)) => {
            (Tls::from_files(&certificate, &key)?, std::fs::read_to_string(&certificate)?)
        }
        _ => made_on_the_spot()?,
    };

    let mut server = Server::new(ServerOptions::default())?;
    server.mount("/echo", |session: &mut Session<'_>, text: &str| {
        let _ = session.send(text);
    })?;
    let plain = server.listen(plain)?;
    let secure = server.listen_with(address, ListenerOptions::default().layers(tls))?;
    let client = Client::from_env()?;
    let page = client.page(PAGE);
    server.fallback(move |_, request, _| {
        client.answer(request.path()).unwrap_or_else(|| answer(request, secure, &page, &certificate))
    });
    server.observe(|event| {
        if let Event::LayerFailed { peer, error } = event {
            eprintln!("no TLS with {peer:?}: {error}");
        }
    });
    println!("Listening on http://{plain}/ and https://{secure}/");
    Ok(server.run()?)
}
