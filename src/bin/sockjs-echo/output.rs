//! What it prints. Never with `println!` and its kin, which panic where the other end of a
//! pipe is gone or a disk is full.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Prints on the standard output. If it is a pipe that is read no further, as in `sockjs-echo --help | head -1`, that
/// is no error: the reader has what it wanted.
///
/// # Errors
/// Those of the operating system: a full disk.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("the standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints a line for a person, or a log, on the standard error. If that fails there is no place left to say so.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    // One write for the line, so that lines of several processes do not mix.
    let line = format!("{line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
