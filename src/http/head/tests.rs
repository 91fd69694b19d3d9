use super::super::testing::{LIMITS, Random, cuttings};
use super::*;

/// What a scanner says in the end, and after how many bytes it said so.
fn scan_in_packets(
    input: &[u8],
    ends: &[usize],
    limits: &HeadLimits,
) -> (Result<Option<usize>, HttpError>, usize) {
    let mut scanner = HeadScanner::default();
    for &end in ends {
        match scanner.scan(&input[..end], limits) {
            Ok(None) => {}
            outcome => return (outcome, end),
        }
    }
    (Ok(None), input.len())
}

/// Checks that `input` leads to `expected` however it is cut.
fn check(input: &[u8], limits: &HeadLimits, expected: Result<Option<usize>, HttpError>) {
    let mut random = Random(0x5eed);
    for ends in cuttings(input.len(), &mut random) {
        let (outcome, _) = scan_in_packets(input, &ends, limits);
        assert_eq!(outcome, expected, "{:?} cut at {ends:?}", input.escape_ascii().to_string());
    }
}

#[test]
fn complete_heads() {
    let heads = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: localhost:8081\r\nX:\r\nY: \t tabs\tand spaces \t\r\nZ: caf\u{e9}\r\n\r\n",
        // RFC 9112 §2.2: empty lines that an old client sends after the body of the request before.
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for head in heads {
        check(head.as_bytes(), &LIMITS, Ok(Some(head.len())));
        // What lies behind the head is none of the scanner's business.
        for behind in ["\0\n\r\x7f", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n"] {
            check(format!("{head}{behind}").as_bytes(), &LIMITS, Ok(Some(head.len())));
        }
        // Not a byte too early.
        for end in 0..head.len() {
            assert_eq!(
                HeadScanner::default().scan(&head.as_bytes()[..end], &LIMITS),
                Ok(None),
                "{head:?} {end}"
            );
        }
    }
}

#[test]
fn broken_heads() {
    let table: [(&str, HttpError); 19] = [
        ("\r\n\r\n\r\n", HttpError::EmptyLines),
        ("\nGET / HTTP/1.1\r\n", HttpError::BareLf),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", HttpError::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", HttpError::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", HttpError::BareLf),
        ("\r\r\n", HttpError::BareCr),
        ("GET / HTTP/1.1\r\r\n", HttpError::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", HttpError::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", HttpError::BareCr),
        ("GET /\0 HTTP/1.1\r\n\r\n", HttpError::ControlByte),
        ("GET /\x7f HTTP/1.1\r\n\r\n", HttpError::ControlByte),
        ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", HttpError::ControlByte),
        ("GET / HTTP/1.1\r\nHost: a\x0b\r\n\r\n", HttpError::ControlByte),
        ("GET / HTTP/1.1\r\nHost: a\x1f\r\n\r\n", HttpError::ControlByte),
        ("GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", HttpError::ControlByte),
        ("\x16\x03\x01\x02\0\x01\0", HttpError::ControlByte), // a TLS hello
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", HttpError::FoldedField),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", HttpError::FoldedField),
        ("GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", HttpError::FoldedField),
    ];
    for (input, error) in table {
        check(input.as_bytes(), &LIMITS, Err(error));
    }
}

#[test]
fn limits_are_exact() {
    let limits = HeadLimits { request_line: 20, header_section: 30, header_count: 3 };
    let line = |length: usize| format!("{:a<length$}\r\n", "");
    let fields = |lengths: &[usize]| lengths.iter().map(|&length| line(length)).collect::<String>();
    let table = [
        (line(20) + "\r\n", Ok(Some(24))),
        (line(21) + "\r\n", Err(HttpError::RequestLineTooLong)),
        // Empty lines before it do not count as part of the line.
        ("\r\n\r\n".to_owned() + &line(20) + "\r\n", Ok(Some(28))),
        ("\r\n\r\n".to_owned() + &line(21) + "\r\n", Err(HttpError::RequestLineTooLong)),
        (line(20) + &line(28) + "\r\n", Ok(Some(54))),
        (line(1) + &line(29) + "\r\n", Err(HttpError::HeaderSectionTooLarge)),
        (line(1) + &fields(&[10, 16]) + "\r\n", Ok(Some(35))),
        (line(1) + &fields(&[10, 17]) + "\r\n", Err(HttpError::HeaderSectionTooLarge)),
        (line(1) + &fields(&[1, 1, 1]) + "\r\n", Ok(Some(14))),
        (line(1) + &fields(&[1, 1, 1, 1]) + "\r\n", Err(HttpError::TooManyFields)),
        // The limit comes before whatever is wrong behind it.
        (line(21) + "\0", Err(HttpError::RequestLineTooLong)),
        (line(19) + "\0", Err(HttpError::ControlByte)),
    ];
    for (input, expected) in table {
        check(input.as_bytes(), &limits, expected);
    }
}

/// The absolute maximum holds even where the options ask for more.
#[test]
fn no_more_fields_than_there_is_room_for() {
    let limits = HeadLimits { header_section: usize::MAX, header_count: usize::MAX, ..LIMITS };
    let head = |fields| format!("GET / HTTP/1.1\r\n{}\r\n", "a:b\r\n".repeat(fields));
    let fits = head(MAX_HEADERS);
    assert_eq!(HeadScanner::default().scan(fits.as_bytes(), &limits), Ok(Some(fits.len())));
    let does_not = head(MAX_HEADERS + 1);
    assert_eq!(HeadScanner::default().scan(does_not.as_bytes(), &limits), Err(HttpError::TooManyFields));
}

/// A client that never ends its line, or sends rubbish, is refused at the first byte too many.
#[test]
fn refusal_is_as_early_as_can_be() {
    let limits = HeadLimits { request_line: 20, header_section: 30, header_count: 3 };
    let table = [
        ("a".repeat(100), HttpError::RequestLineTooLong, 21),
        (format!("GET / HTTP/1.1\r\n{}", "a".repeat(100)), HttpError::HeaderSectionTooLarge, 47),
        ("GET \0aaaaaaaaaa".to_owned(), HttpError::ControlByte, 5),
        ("GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n".to_owned(), HttpError::BareLf, 24),
        ("GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n".to_owned(), HttpError::BareCr, 25),
    ];
    for (input, error, position) in table {
        let ends: Vec<usize> = (1..=input.len()).collect();
        assert_eq!(scan_in_packets(input.as_bytes(), &ends, &limits), (Err(error), position), "{input:?}");
    }
}

/// What was searched is not searched again: a head sent byte by byte costs its length, not its square.
#[test]
fn each_byte_is_searched_once() {
    let head = b"GET /echo/info HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n";
    let mut scanner = HeadScanner::default();
    for end in 0..head.len() {
        assert_eq!(scanner.scan(&head[..end], &LIMITS), Ok(None));
        // A CR is looked at again, until what follows it is known.
        let expected = if end > 0 && head[end - 1] == b'\r' { end - 1 } else { end };
        assert_eq!(scanner.searched as usize, expected);
    }
}

/// A scanner that has already spoken is of no use, but does no harm.
#[test]
fn asking_again_never_panics() {
    let mut random = Random(0xa9a1);
    let tiny = HeadLimits { request_line: 4, header_section: 8, header_count: 2 };
    for _ in 0..2_000 {
        let length = random.below(40);
        let input = random.bytes(length, b"ab:\r\r\n\n \t\0");
        let input = String::from_utf8(input).expect("ASCII").replace("\r\r", "\r\n").into_bytes();
        let mut scanner = HeadScanner::default();
        for _ in 0..8 {
            let end = random.below(input.len() + 1);
            let _ = scanner.scan(&input[..end], if random.below(2) == 0 { &tiny } else { &LIMITS });
        }
    }
}

/// The simplest scanner that can be, line by line, without limits on length.
fn scan_naively(input: &[u8]) -> Result<Option<usize>, HttpError> {
    let mut lines = vec![];
    let mut line = vec![];
    let mut bytes = input.iter().copied().enumerate().peekable();
    while let Some((index, byte)) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\r', None) => return Ok(None),
            (b'\r', Some((_, b'\n'))) => {
                bytes.next();
                let is_empty = line.is_empty();
                lines.push(std::mem::take(&mut line));
                let leading = lines.iter().take_while(|line| line.is_empty()).count();
                match lines.len() - leading {
                    0 if leading > 2 => return Err(HttpError::EmptyLines),
                    0 | 1 => {}
                    _ if is_empty => return Ok(Some(index + 2)),
                    _ if b" \t".contains(&lines[lines.len() - 1][0]) => return Err(HttpError::FoldedField),
                    _ => {}
                }
            }
            (b'\r', _) => return Err(HttpError::BareCr),
            (b'\n', _) => return Err(HttpError::BareLf),
            (0..0x20 | 0x7f, _) if byte != b'\t' => return Err(HttpError::ControlByte),
            _ => line.push(byte),
        }
    }
    Ok(None)
}

#[test]
fn random_input_is_scanned_as_the_naive_way_does() {
    let mut random = Random(0xdecade);
    // Mostly harmless, so that many inputs get far.
    let pieces: [&[u8]; 12] = [
        b"a",
        b"GET /",
        b": value",
        b"\xff\x80",
        b"a long piece of text, for words",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\t",
        b" ",
        b"x\r\n",
        b"\r\n\r\n",
    ];
    let mut complete = 0;
    for _ in 0..4_000 {
        let mut input = vec![];
        for _ in 0..random.below(16) {
            input.extend_from_slice(pieces[random.below(pieces.len())]);
        }
        if !input.is_empty() && random.below(4) == 0 {
            let at = random.below(input.len());
            input[at] = b"\r\n\0\x7f\x1f"[random.below(5)];
        }
        let expected = scan_naively(&input);
        complete += usize::from(matches!(expected, Ok(Some(_))));
        assert_eq!(
            HeadScanner::default().scan(&input, &LIMITS),
            expected,
            "{:?}",
            input.escape_ascii().to_string()
        );
        let bytes: Vec<usize> = (1..=input.len()).collect();
        assert_eq!(scan_in_packets(&input, &bytes, &LIMITS).0, expected);
    }
    assert!(complete > 500, "only {complete} of the inputs were heads");
}

/// Each byte value at each place of a word and its neighbours, among bytes that could lend to or borrow from
/// it.
#[test]
fn control_bytes_are_found_wherever_they_stand() {
    for filler in [b' ', b'~', 0x80, 0xff, b'a'] {
        for length in 0..20 {
            assert_eq!(find_control(&vec![filler; length]), length);
            for at in 0..length {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![filler; length];
                    bytes[at] = byte;
                    let expected = if byte.is_ascii_control() { at } else { length };
                    assert_eq!(find_control(&bytes), expected, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }
}
