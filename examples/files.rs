//! Shows a folder of files beside a SockJS endpoint: types, ETags, HEAD, and no way out of the folder. The library has
//! no opinion on any of that: it reads each file piece by piece as its client takes it, however large the file is.
//!
//! To see it: `cargo run --example files [ADDRESS [FOLDER]]`, where the folder is the present one unless it is named,
//! and `curl -i http://127.0.0.1:8081/FILE`, with a file of it; for a folder its `index.html` is sent.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sockjs_server::{Body, Request, Response, Server, Session};

/// By the end of a file's name; everything else is bytes.
const TYPES: [(&str, &str); 10] = [
    ("html", "text/html; charset=UTF-8"),
    ("css", "text/css; charset=UTF-8"),
    ("js", "text/javascript; charset=UTF-8"),
    ("json", "application/json"),
    ("txt", "text/plain; charset=UTF-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
];

/// A folder that is served.
struct Folder {
    /// Without symbolic links, so that what lies in it can be told by its path.
    root: PathBuf,
}

impl Folder {
    fn new(root: &str) -> io::Result<Self> {
        let name = |error: io::Error| io::Error::new(error.kind(), format!("{root}: {error}"));
        Ok(Self { root: fs::canonicalize(root).map_err(name)? })
    }

    /// The file of a request's path; `None`: there is none that may be served.
    fn find(&self, path: &str) -> Option<(PathBuf, File)> {
        let mut file = self.root.clone();
        for segment in path.strip_prefix('/')?.split('/') {
            let name = decode(segment)?;
            // A name is one step down. A separator that was encoded, a NUL, `.`, `..`, a drive of
            // Windows and hidden files are none.
            if name.starts_with('.') || name.contains(['/', '\\', ':', '\0']) {
                return None;
            }
            file.push(name);
        }
        if file.is_dir() {
            file.push("index.html");
        }
        // A symbolic link may lead out of the folder, at any step.
        let file = fs::canonicalize(file).ok().filter(|file| file.starts_with(&self.root))?;
        // Opening a pipe, or a device, may wait without end.
        let opened =
            fs::metadata(&file).ok().filter(fs::Metadata::is_file).and_then(|_| File::open(&file).ok())?;
        Some((file, opened))
    }

    fn answer(&self, request: &Request<'_>) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Response::new(405).header("Allow", "GET, HEAD");
        }
        let Some((path, file)) = self.find(request.path()) else {
            return Response::new(404)
                .header("Content-Type", "text/plain; charset=UTF-8")
                .body("Not Found\n");
        };
        // Of the file that is open: the name may lead to another one by now.
        let Ok(metadata) = file.metadata() else { return Response::new(500) };
        let etag = etag(&metadata);
        let answer = |status| {
            Response::new(status)
                .header("ETag", &etag)
                .header("Cache-Control", "no-cache")
                .header("X-Content-Type-Options", "nosniff")
        };
        let lists = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case("if-none-match"));
        if lists.into_iter().any(|(_, list)| names(list, &etag)) {
            return answer(304);
        }
        // What a log gains while it is sent is not in the length that was announced.
        let body = Body::sized_reader(file.take(metadata.len()), metadata.len());
        answer(200).header("Content-Type", content_type(&path)).body(body)
    }
}

/// Decodes a percent-encoded segment of a path. `None`: it is none, or no text.
fn decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// A file that has changed has another length or another time.
fn etag(metadata: &fs::Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("\"{:x}-{:x}\"", metadata.len(), modified.unwrap_or_default().as_nanos())
}

/// Whether `If-None-Match` lists this tag, weak or strong, or says that any will do (RFC 9110
/// §13.1.2). No tag here has a comma.
fn names(list: &[u8], etag: &str) -> bool {
    let list = String::from_utf8_lossy(list);
    list.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let known = TYPES.iter().find(|(end, _)| extension.eq_ignore_ascii_case(end));
    known.map_or("application/octet-stream", |(_, name)| name)
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8081".to_owned());
    let folder = Folder::new(&arguments.next().unwrap_or(".".to_owned()))?;
    let mut server = Server::bind(address)?;
    server.mount("/echo", |session: &mut Session<'_>, text: &str| {
        let _ = session.send(text);
    })?;
    server.fallback(move |_, request, _| folder.answer(request));
    println!("Listening on http://{}/", server.addresses()[0]);
    server.run()
}
