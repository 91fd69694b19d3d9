//! The fuzzer's corpora, replayed: what it once found stays found. The checks are the
//! fuzzer's own, run here without it.

#[path = "fuzz_checks/mod.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// Runs a check over every file of its corpus.
fn replay(name: &str, check: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    // The published package is without the fuzzer's own package, and so without the corpora.
    if fuzz.exists() {
        let corpus = fuzz.join("corpus").join(name);
        let files = fs::read_dir(&corpus).expect("each target has a corpus");
        let mut count = 0;
        for file in files {
            let path = file.expect("a readable folder").path();
            let _named = Named(&path);
            check(&fs::read(&path).expect("a readable seed"));
            count += 1;
        }
        assert!(count > 0, "{} is empty", corpus.display());
    }
    // No input, and inputs that say little.
    check(&[]);
    (0..=u8::MAX).for_each(|byte| check(&[byte; 3]));
}

/// Says which file it was that failed.
struct Named<'p>(&'p Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with {}", self.0.display());
        }
    }
}

macro_rules! corpora {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name), checks::$name::check);
        }
    )*};
}

corpora! {
    request_head chunked_body websocket handshake routes payloads frame_writer timer_wheel engine
}
