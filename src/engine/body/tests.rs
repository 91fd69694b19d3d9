use std::collections::VecDeque;

use super::*;

/// A reader that gives what it was told to, and then nothing.
struct Script(VecDeque<Step>);

#[derive(Clone, Copy)]
enum Step {
    Bytes(usize),
    /// It claims so many bytes, however much room there is.
    Claim(usize),
    Fail(ErrorKind),
    Panic,
}

impl Read for Script {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.0.pop_front() {
            Some(Step::Bytes(count)) => {
                let taken = count.min(room.len());
                room[..taken].fill(b'x');
                if taken < count {
                    self.0.push_front(Step::Bytes(count - taken));
                }
                Ok(taken)
            }
            Some(Step::Claim(count)) => Ok(count),
            Some(Step::Fail(kind)) => Err(kind.into()),
            Some(Step::Panic) => panic!("as the test wants it"),
            None => Ok(0),
        }
    }
}

fn download(steps: &[Step], length: Option<u64>) -> Download {
    let script = Script(steps.iter().copied().collect());
    let body = match length {
        Some(length) => Body::sized_reader(script, length),
        None => Body::reader(script),
    };
    let Content::Read(reader) = body.0 else { unreachable!("a reader") };
    Download::new(reader, true, true)
}

/// Reads all of it in pieces of 10 bytes at most, and says how many there were, and how it ended.
fn read_all(mut it: Download) -> (usize, Result<(), Option<ErrorKind>>) {
    let mut length = 0;
    for _ in 0..1000 {
        match it.read(&mut [0; 10]) {
            Piece::Bytes(count) => length += count,
            Piece::Last(count) => return (length + count, Ok(())),
            Piece::Failed(error) => return (length, Err(Some(error.kind()))),
            Piece::Panicked => return (length, Err(None)),
        }
    }
    panic!("it does not end")
}

#[test]
fn a_body_is_all_that_its_reader_has_or_it_fails() {
    use Step::{Bytes, Claim, Fail, Panic};
    let eof = Err(Some(ErrorKind::UnexpectedEof));
    let wrong = Err(Some(ErrorKind::InvalidData));
    type Row = (&'static [Step], Option<u64>, (usize, Result<(), Option<ErrorKind>>));
    let table: &[Row] = &[
        (&[], None, (0, Ok(()))),
        (&[Bytes(25)], None, (25, Ok(()))),
        (&[Bytes(3), Fail(ErrorKind::Interrupted), Bytes(4)], None, (7, Ok(()))),
        (&[Bytes(3), Fail(ErrorKind::WouldBlock)], None, (3, Err(Some(ErrorKind::WouldBlock)))),
        (&[Bytes(3), Claim(11)], None, (3, wrong)),
        (&[Bytes(12), Panic], None, (12, Err(None))),
        (&[], Some(0), (0, Ok(()))),
        (&[Bytes(25)], Some(25), (25, Ok(()))),
        (&[Bytes(20)], Some(20), (20, Ok(()))),
        (&[Bytes(3), Bytes(3)], Some(6), (6, Ok(()))),
        (&[Bytes(25), Fail(ErrorKind::Interrupted)], Some(25), (25, Ok(()))),
        // Too few, and too many: of the piece that would have completed a wrong body nothing leaves.
        (&[], Some(1), (0, eof)),
        (&[Bytes(24)], Some(25), (24, eof)),
        (&[Bytes(1)], Some(0), (0, wrong)),
        (&[Bytes(26)], Some(25), (20, wrong)),
        (&[Bytes(25), Panic], Some(25), (20, Err(None))),
        (&[Bytes(1)], Some(u64::MAX), (1, eof)),
    ];
    for (number, (steps, length, expected)) in table.iter().enumerate() {
        assert_eq!(read_all(download(steps, *length)), *expected, "row {number}");
    }
}

#[test]
fn the_end_of_a_body_follows_from_its_length_and_the_version() {
    for (length, is_http11, end) in [
        (Some(7), true, BodyEnd::Behind(7)),
        (Some(7), false, BodyEnd::Behind(7)),
        (None, true, BodyEnd::LastChunk),
        (None, false, BodyEnd::Close),
    ] {
        let reader = Reader { reader: None, length };
        assert_eq!(Download::new(reader, is_http11, true).end, end);
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Read for Bomb {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as the test wants it");
    }
}

#[test]
fn a_panic_in_a_readers_drop_stops_here() {
    let bomb = || Reader { reader: Some(Box::new(Bomb)), length: None };
    assert!(!bomb().close());
    drop(bomb());
    assert!(Reader { reader: Some(Box::new(io::empty())), length: None }.close());
}

#[test]
fn a_body_says_what_it_holds() {
    let shared: Arc<[u8]> = vec![0; 9].into();
    for (body, length, held) in [
        (Body::default(), Some(0), 0),
        (Body::from("four"), Some(4), 0),
        (Body::from(b"four"), Some(4), 0),
        (Body::from(&b"four"[..]), Some(4), 0),
        (Body::from(shared), Some(9), 0),
        (Body::from(Arc::<str>::from("nine")), Some(4), 0),
        (Body::from(String::from("four")), Some(4), 4),
        (Body::from(vec![0; 9]), Some(9), 9),
        (Body::reader(&b"four"[..]), None, size_of::<&[u8]>()),
        (Body::sized_reader(io::repeat(0).take(5), 5), Some(5), size_of::<io::Take<io::Repeat>>()),
    ] {
        assert_eq!((body.length(), body.held()), (length, held), "{body:?}");
    }
}
