//! The house has floors, and imports go down only. Reads `src/` and holds every file to what its floor may use: below
//! the reactor there are no sockets and no clocks, and no floor knows one above it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the floors are, lowest first: the path under `src/`, and what of ours it may name besides itself.
const FLOORS: [(&str, &[&str]); 10] = [
    // Where the program's panics stop.
    ("containment", &[]),
    ("collections", &[]),
    ("http", &[]),
    ("websocket", &[]),
    ("sockjs", &[]),
    ("engine", &["containment", "collections", "http", "websocket", "sockjs"]),
    ("loopback", &["collections", "engine"]),
    // What the program may put in front of the server.
    ("layer", &[]),
    ("reactor", &["collections", "containment", "engine", "layer"]),
    // Everything else stands on top of all of it.
    ("", &[]),
];

/// Floors whose time and bytes are given to them.
const PURE: [&str; 7] = ["collections", "http", "websocket", "sockjs", "engine", "layer", "loopback"];

/// A line of code: where it is, and what it says without its comment.
struct Line {
    place: String,
    /// The modules from the crate down to this file's, as in `["http", "request"]`.
    module: Vec<String>,
    code: String,
    /// It stands in the test module at the end of its file.
    in_tests: bool,
}

impl Line {
    fn floor(&self) -> &str {
        let first = self.module.first().map_or("", String::as_str);
        FLOORS.iter().map(|(floor, _)| *floor).find(|floor| *floor == first).unwrap_or("")
    }
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every line of code of the crate, without comments.
fn lines() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    assert!(files.len() > 40, "the sources are where they were");
    let mut lines = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).expect("under src").with_extension("");
        let mut module: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        module.pop_if(|last| matches!(last.as_str(), "mod" | "lib"));
        let text = fs::read_to_string(&file).expect("a source file");
        let mut in_tests = false;
        for (number, line) in text.lines().enumerate() {
            in_tests |= line == "mod tests {";
            let code = line.split("//").next().unwrap_or_default().trim();
            let place = format!("src/{}.rs:{}", path.display(), number + 1);
            lines.push(Line { place, module: module.clone(), code: code.to_owned(), in_tests });
        }
    }
    lines
}

/// The identifiers of a line.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// What of the crate's own a line names from the top: `engine` in `use crate::engine::Engine`.
fn own_paths(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).filter_map(|rest| words(rest).next())
}

/// Complains about all lines at once.
fn assert_none(what: &str, offends: impl Fn(&Line) -> bool) {
    let offenders: Vec<_> = lines()
        .into_iter()
        .filter(|line| !line.code.is_empty() && offends(line))
        .map(|line| format!("{}: {}", line.place, line.code))
        .collect();
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

#[test]
fn no_floor_uses_one_above() {
    assert_none("a floor knows itself and those below", |line| {
        let floor = line.floor();
        let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == floor && !name.is_empty()) else {
            return false;
        };
        // The tests of the engine have a driver, and it is the one of simulations.
        let is_driven = line.module.starts_with(&["engine".to_owned(), "tests".to_owned()]);
        let may = |path| path == floor || below.contains(&path) || (is_driven && path == "loopback");
        own_paths(&line.code).any(|path| !may(path))
    });
    // A file may climb with `super` as far as its floor goes, and no further.
    assert_none("`super` leaves the floor", |line| {
        let climbs = line.code.split("super::").count() - 1;
        let climb = (1..=climbs).rev().find(|count| line.code.contains(&"super::".repeat(*count)));
        let depth = line.module.len() + usize::from(line.in_tests);
        !line.floor().is_empty() && climb.is_some_and(|climb| climb >= depth)
    });
}

/// The files of the engine, lowest first: each calls methods of itself and of those in front of it.
const ENGINE: [&str; 47] = [
    "time",
    "entropy",
    "clients",
    "work",
    "options/rules",
    "options/setters",
    "options",
    "budget",
    "pool",
    "byte_queue",
    "outgoing",
    "body",
    "pace",
    "in_layer",
    "inflow",
    "session",
    "reading",
    "writing",
    "connection/websocket",
    "connection",
    "groups",
    "endpoint",
    "application",
    "reply",
    "admission",
    "counters",
    "queues",
    "memory",
    "app_timers",
    "waits",
    "registry",
    "eviction",
    "membership",
    "backpressure",
    "connections",
    "output",
    "sending",
    "answers",
    "pages",
    "receivers",
    "expiry",
    "dispatch",
    "upgrade",
    "routing",
    "input",
    "shutdown",
    "turn",
];

/// Names that methods of the standard library have too: a call of one says nothing.
const COMMON: [&str; 16] = [
    "accept", "append", "bytes", "capacity", "chain", "clear", "find", "get", "get_mut", "iter", "is_empty",
    "len", "new", "push", "take", "write",
];

/// The file of the engine to which a module belongs, as a place in their order.
fn engine_place(module: &[String]) -> Option<usize> {
    let path = module.strip_prefix(&["engine".to_owned()])?.join("/");
    ENGINE
        .iter()
        .position(|file| path == *file)
        .or_else(|| ENGINE.iter().position(|file| path.starts_with(&format!("{file}/"))))
}

/// The method that a line defines.
fn defined_method(code: &str) -> Option<&str> {
    let (front, behind) = code.split_once("fn ")?;
    let is_definition = front.is_empty() || front.starts_with("pub");
    is_definition.then(|| words(behind).next()).flatten()
}

/// The methods that a line calls.
fn called_methods(code: &str) -> impl Iterator<Item = &str> {
    code.split('.').skip(1).filter_map(|rest| {
        let name = words(rest).next()?;
        rest.strip_prefix(name)?.starts_with('(').then_some(name)
    })
}

#[test]
fn calls_within_the_engine_go_down() {
    let lines: Vec<_> = lines().into_iter().filter(|line| !line.in_tests).collect();
    let modules = lines.iter().filter(|line| line.floor() == "engine" && line.module.len() > 1);
    for line in modules.filter(|line| line.module.get(1).is_some_and(|name| name != "tests")) {
        assert!(engine_place(&line.module).is_some(), "{}: where does it stand?", line.place);
    }
    // Where each method is defined; one of several files has no place.
    let mut places: HashMap<&str, Option<usize>> = HashMap::new();
    for line in &lines {
        let (Some(place), Some(name)) = (engine_place(&line.module), defined_method(&line.code)) else {
            continue;
        };
        let known = places.entry(name).or_insert(Some(place));
        if *known != Some(place) {
            *known = None;
        }
    }
    let mut climbing = Vec::new();
    for line in &lines {
        let Some(own) = engine_place(&line.module) else { continue };
        for name in called_methods(&line.code).filter(|name| !COMMON.contains(name)) {
            if let Some(Some(place)) = places.get(name)
                && *place > own
            {
                climbing.push(format!("{}: {name} is of {}", line.place, ENGINE[*place]));
            }
        }
    }
    assert!(climbing.is_empty(), "calls that go up:\n{}", climbing.join("\n"));
    assert!(places.len() > 150, "the methods are where they were");
}

/// Whether a line takes anything from the standard library's `net` but the types of addresses.
fn takes_more_than_addresses(code: &str) -> bool {
    let Some((_, names)) = code.split_once("::net::") else { return code.contains("::net") };
    let mut names = words(names).filter(|word| word.starts_with(char::is_uppercase));
    !names.all(|name| matches!(name, "IpAddr" | "Ipv4Addr" | "Ipv6Addr" | "SocketAddr"))
}

#[test]
fn nothing_below_the_reactor_has_a_socket_or_a_clock() {
    assert_none("sockets and clocks are the reactor's", |line| {
        if !PURE.contains(&line.floor()) {
            return false;
        }
        // Addresses are plain data; of the network there is nothing else.
        takes_more_than_addresses(&line.code)
            || words(&line.code).any(|word| matches!(word, "mio" | "Instant" | "SystemTime" | "thread"))
            || ["std::fs", "std::process", "std::env"].iter().any(|door| line.code.contains(door))
    });
}

#[test]
fn mio_stays_where_it_is() {
    let what = "mio is the reactor's; the face has its waker, and hands sockets down; the binary connects without blocking";
    assert_none(what, |line| {
        let others = [&["mailbox"][..], &["server", "adding"], &["bin", "sockjs-echo", "listen"]];
        let may = line.floor() == "reactor" || others.iter().any(|module| line.module == *module);
        !may && words(&line.code).any(|word| word == "mio")
    });
}

#[test]
fn the_binary_uses_the_public_api_alone() {
    assert_none("the layers are hidden from programs", |line| {
        let is_binary = line.module.first().is_some_and(|module| module == "bin");
        let hidden = PURE.iter().any(|floor| line.code.contains(&format!("sockjs_server::{floor}")));
        is_binary && hidden
    });
}

#[test]
fn what_is_never_written_here() {
    assert_none(
        "no unsafe code, no shared cells, nothing unfinished, nothing printed by the library",
        |line| {
            let forbids = line.code.starts_with("#![forbid(");
            let is_binary = line.module.first().is_some_and(|module| module == "bin");
            (!forbids && words(&line.code).any(|word| word == "unsafe"))
                || line.code.contains("Rc<RefCell")
                || line.code.contains("Rc<Cell")
                || ["todo!", "unimplemented!", "dbg!"].iter().any(|name| line.code.contains(name))
                || (!is_binary && ["println!", "print!"].iter().any(|name| line.code.contains(name)))
        },
    );
    let library =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    assert!(library.contains("#![forbid(unsafe_code"), "the compiler sees to it");
}
