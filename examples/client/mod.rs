//! The client library for the pages of the examples. It comes from the jsDelivr CDN or, where the environment variable
//! `SOCKJS_CLIENT` names a copy, from the example itself:
//!
//! ```text
//! npm install sockjs-client
//! SOCKJS_CLIENT=node_modules/sockjs-client/dist/sockjs.min.js cargo run --example chat
//! ```
//!
//! A page works without it, by WebSocket alone, and says so: see `client.html`.

use std::sync::Arc;
use std::{env, fs, io};

use sockjs_server::Response;

const CDN: &str = "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js";
/// Where a copy is served.
const PATH: &str = "/sockjs.min.js";

pub struct Client {
    copy: Option<Arc<[u8]>>,
}

impl Client {
    /// Reads the copy, if there is one.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn from_env() -> io::Result<Self> {
        let copy = match env::var_os("SOCKJS_CLIENT") {
            Some(file) => {
                let name = |error: io::Error| {
                    io::Error::new(error.kind(), format!("SOCKJS_CLIENT={}: {error}", file.display()))
                };
                Some(fs::read(&file).map_err(name)?.into())
            }
            None => None,
        };
        Ok(Self { copy })
    }

    /// A page in which `{{CLIENT}}` stands for the library. When that has loaded, or cannot be, the
    /// page's function `start` is called.
    pub fn page(&self, html: &str) -> Arc<str> {
        let url = if self.copy.is_some() { PATH } else { CDN };
        html.replace("{{CLIENT}}", include_str!("client.html")).replace("{{CLIENT_URL}}", url).into()
    }

    /// The copy, where the path is the one of it.
    pub fn answer(&self, path: &str) -> Option<Response> {
        let copy = self.copy.as_ref().filter(|_| path == PATH)?;
        Some(
            Response::new(200)
                .header("Content-Type", "text/javascript; charset=UTF-8")
                .body(Arc::clone(copy)),
        )
    }
}
