use super::super::testing::{Random, cuttings};
use super::*;

const LIMIT: usize = 1024;

/// Feeds `raw` in packets as a connection would: what is decoded stays in the buffer, the raw bytes behind it
/// are used up by each call. Returns the body and how many raw bytes it took, or `None` if there must be
/// more.
fn decode_in_packets(
    framing: Framing,
    limit: usize,
    raw: &[u8],
    ends: &[usize],
) -> Result<Option<(Vec<u8>, usize)>, HttpError> {
    let mut decoder = BodyDecoder::new(framing, limit)?;
    let mut buffer = vec![];
    let (mut start, mut used) = (0, 0);
    for &end in ends {
        let decoded = buffer.len();
        buffer.extend_from_slice(&raw[start..end]);
        let progress = decoder.decode(&mut buffer, decoded)?;
        used += progress.consumed;
        if progress.complete {
            // Bytes behind the body lie where they did.
            assert_eq!(buffer[decoded + progress.consumed..], raw[used..end]);
            buffer.truncate(progress.length);
            assert_eq!(decoder.decode(&mut buffer, progress.length)?, Progress { consumed: 0, ..progress });
            return Ok(Some((buffer, used)));
        }
        assert_eq!(progress.consumed, end - start);
        buffer.truncate(progress.length);
        start = end;
    }
    Ok(None)
}

fn check(framing: Framing, raw: &[u8], expected: Result<Option<(&[u8], usize)>, HttpError>) {
    let mut random = Random(0xb0d1);
    let expected = expected.map(|body| body.map(|(body, used)| (body.to_vec(), used)));
    for ends in cuttings(raw.len(), &mut random) {
        let found = decode_in_packets(framing, LIMIT, raw, &ends);
        assert_eq!(found, expected, "{:?} cut at {ends:?}", raw.escape_ascii().to_string());
    }
}

#[test]
fn no_body() {
    for framing in [Framing::None, Framing::Length(0)] {
        check(framing, b"GET / HTTP/1.1\r\n\r\n", Ok(Some((b"", 0))));
        let mut decoder = BodyDecoder::new(framing, 0).expect("nothing is within any limit");
        assert_eq!(decoder.decode(&mut [], 0), Ok(Progress { length: 0, consumed: 0, complete: true }));
    }
}

#[test]
fn declared_lengths() {
    check(Framing::Length(5), b"hello", Ok(Some((b"hello", 5))));
    check(Framing::Length(5), b"hello, next", Ok(Some((b"hello", 5))));
    check(Framing::Length(5), b"hell", Ok(None));
    check(Framing::Length(5), b"", Ok(None));
    check(Framing::Length(4), b"\r\n\0\xff\r\n", Ok(Some((b"\r\n\0\xff", 4))));
}

#[test]
fn a_declared_length_beyond_the_limit_is_refused_at_once() {
    assert!(BodyDecoder::new(Framing::Length(1024), LIMIT).is_ok());
    for length in [1025, u64::from(u32::MAX) + 1, u64::MAX] {
        assert_eq!(BodyDecoder::new(Framing::Length(length), LIMIT).err(), Some(HttpError::BodyTooLarge));
    }
}

#[test]
fn chunked_bodies() {
    let table: [(&str, &str); 18] = [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n", "hello, world"),
        ("a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"),
        // Extensions, RFC 9112 §7.1.1.
        ("5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello"),
        ("5;a=b;c=d;e\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5; a = b ;\tc\t=\td\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5;a ;b\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5;a=\"b c;\\\"\\\\\t\u{e9}\"\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5;a=\"\";b=\"\" ;c\r\nhello\r\n0\r\n\r\n", "hello"),
        // Trailers, RFC 9112 §7.1.2.
        ("5\r\nhello\r\n0\r\nX: y\r\n\r\n", "hello"),
        ("5\r\nhello\r\n0\r\nX:\r\nContent-Length: 5\r\nZ: \t\u{e9} \r\n\r\n", "hello"),
        ("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", "abc"),
        ("1;x\r\na\r\n1\r\nb\r\n01\r\nc\r\n000\r\n\r\n", "abc"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
        ("4\r\n\u{1f600}\r\n0\r\n\r\n", "\u{1f600}"),
    ];
    for (raw, body) in table {
        check(Framing::Chunked, raw.as_bytes(), Ok(Some((body.as_bytes(), raw.len()))));
        let followed = format!("{raw}POST / HTTP/1.1\r\n\r\n");
        check(Framing::Chunked, followed.as_bytes(), Ok(Some((body.as_bytes(), raw.len()))));
        for end in 0..raw.len() {
            check(Framing::Chunked, &raw.as_bytes()[..end], Ok(None));
        }
    }
}

#[test]
fn malformed_chunks() {
    use HttpError::{ChunkEnd, ChunkExtension, ChunkSize, Trailer};
    let sizes = [
        "\r\n",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "g\r\n",
        " 5\r\n",
        "5 \r\n",
        "5\t\r\n",
        "5 ;a\r\n",
        ";a\r\n",
        "5\n",
        "5\r5",
        "5\r\r\n",
        "\n",
        "5_0\r\n",
        "5,5\r\n",
        "5.\r\n",
        "\u{665}\r\n",
        "00000000000000005\r\n",
        "fffffffffffffffff\r\n",
        "5\0\r\n",
        "5\r;",
    ];
    for raw in sizes {
        check(Framing::Chunked, raw.as_bytes(), Err(ChunkSize));
    }
    let extensions = [
        "5;\r\n",
        "5;;a\r\n",
        "5;a\n",
        "5;a=\r\n",
        "5;a=b=c\r\n",
        "5;=b\r\n",
        "5;a=\"b\r\n",
        "5;a=\"b\n\"\r\n",
        "5;a=\"b\\\r\n\"\r\n",
        "5;a=\"b\"c\r\n",
        "5;a b\r\n",
        "5;a=b c\r\n",
        "5;a \r\n",
        "5;a=b \r\n",
        "5; \r\n",
        "5;a\0\r\n",
        "5;a=\x7f\r\n",
        "5;a=\"\0\"\r\n",
        "5;a=\"\x7f\"\r\n",
        "5;\u{e9}\r\n",
        "5;a=b\t\r\n",
        "5;a=\"b\" \r\n",
        "5;a=b=\r\n",
    ];
    for raw in extensions {
        check(Framing::Chunked, raw.as_bytes(), Err(ChunkExtension));
    }
    check(Framing::Chunked, b"5;a\r5", Err(ChunkSize));

    for raw in [
        "5\r\nhello0\r\n",
        "5\r\nhello\n0\r\n",
        "5\r\nhello\r\r\n",
        "5\r\nhello\rx",
        "5\r\nhello!\r\n",
        "4\r\nhello\r\n",
    ] {
        check(Framing::Chunked, raw.as_bytes(), Err(ChunkEnd));
    }
    // The data is shorter than its size, and what follows is taken for data.
    check(Framing::Chunked, b"6\r\nhello\r\n0\r\n\r\n", Err(ChunkEnd));

    let trailers = [
        "X\r\n",
        ":a\r\n",
        "X : a\r\n",
        " X: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\n",
        "\n",
        "\rX",
        "X: a\rb",
        "X: \0\r\n",
        "X: \x7f\r\n",
        "X: a\r\r\n",
        "(: a\r\n",
        "\u{e9}: a\r\n",
        "X\t: a\r\n",
    ];
    for raw in trailers {
        check(Framing::Chunked, format!("0\r\n{raw}").as_bytes(), Err(Trailer));
        check(Framing::Chunked, format!("0\r\nA: b\r\n{raw}").as_bytes(), Err(Trailer));
    }
}

#[test]
fn chunks_add_up_to_no_more_than_the_limit() {
    let chunk = |size: usize| format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    let whole = "x".repeat(LIMIT);
    let fits = [chunk(LIMIT) + "0\r\n\r\n", chunk(LIMIT - 1) + &chunk(1) + "0\r\n\r\n"];
    for raw in fits {
        check(Framing::Chunked, raw.as_bytes(), Ok(Some((whole.as_bytes(), raw.len()))));
    }
    let does_not = [
        "401\r\n".to_owned(),
        chunk(LIMIT) + "1\r\n",
        chunk(1) + "400\r\n",
        chunk(1) + "ffffffffffffffff\r\n",
        "ffffffffffffffff\r\n".to_owned(),
        "8000000000000000\r\n".to_owned(),
    ];
    for raw in does_not {
        // Said on the size line, before any of the data.
        check(Framing::Chunked, raw.as_bytes(), Err(HttpError::BodyTooLarge));
    }
}

/// No client makes the server read much more than the body: not with padding, extensions or trailers, all at once or a
/// little each time.
#[test]
fn overhead_is_limited() {
    let limit = 8 * 1024;
    assert_eq!(usize::from(OVERHEAD_LIMIT), limit, "as the table of limits in the crate's docs says");
    let padded_end = |overhead: usize| {
        // "0" and the last CRLF count themselves.
        format!("0\r\nX:{}\r\n\r\n", "y".repeat(overhead - 7))
    };
    let fits = padded_end(limit);
    check(Framing::Chunked, fits.as_bytes(), Ok(Some((b"", fits.len()))));

    let too_much = [
        padded_end(limit + 1),
        format!("0;{}\r\n", "a".repeat(limit)),
        "0\r\n".to_owned() + &"X: y\r\n".repeat(limit / 6 + 1),
        format!("1;{}\r\nx\r\n", "a".repeat(249)).repeat(33),
        "0000000000000001\r\nx\r\n".repeat(limit / 15 + 1),
    ];
    for raw in too_much {
        let found = decode_in_packets(Framing::Chunked, LIMIT, raw.as_bytes(), &[raw.len()]);
        assert_eq!(found, Err(HttpError::ChunkOverhead), "{:?}", &raw[..40]);
    }

    // But as many plain chunks as the body has bytes are no overhead.
    let raw = "1\r\nx\r\n".repeat(LIMIT) + "0\r\n\r\n";
    check(Framing::Chunked, raw.as_bytes(), Ok(Some(("x".repeat(LIMIT).as_bytes(), raw.len()))));
    // Nor are more of them than the limit has bytes.
    for chunk in ["1\r\nx\r\n", "10\r\n0123456789abcdef\r\n"] {
        let raw = chunk.repeat(limit + 1) + "0\r\n\r\n";
        let found = decode_in_packets(Framing::Chunked, raw.len(), raw.as_bytes(), &[raw.len()]);
        assert!(matches!(found, Ok(Some((_, used))) if used == raw.len()), "{chunk:?}");
    }
}

#[test]
fn random_bodies_come_out_as_they_went_in() {
    let mut random = Random(0xc0ffee);
    let alphabet: Vec<u8> = (0..=255).collect();
    for _ in 0..200 {
        let length = random.below(LIMIT);
        let body = random.bytes(length, &alphabet);
        let mut raw = vec![];
        let mut rest = &body[..];
        while !rest.is_empty() {
            let (data, behind) = rest.split_at(1 + random.below(rest.len()));
            let extension = ["", ";a", ";a=b", "; a=\"b;\\\"\""][random.below(4)];
            raw.extend_from_slice(format!("{:x}{extension}\r\n", data.len()).as_bytes());
            raw.extend_from_slice(data);
            raw.extend_from_slice(b"\r\n");
            rest = behind;
        }
        raw.extend_from_slice(b"0\r\n\r\n");
        let used = raw.len();
        raw.extend_from_slice(b"\r\n0\r\n\r\n");
        for ends in cuttings(raw.len(), &mut random).into_iter().take(40) {
            let found = decode_in_packets(Framing::Chunked, LIMIT, &raw, &ends);
            assert_eq!(found, Ok(Some((body.clone(), used))));
        }
    }
}

/// Any bytes at all, cut in any way: the same body or the same error, and never a panic.
#[test]
fn random_bytes_are_read_alike_however_cut() {
    let mut random = Random(0xace);
    let mut complete = 0;
    for _ in 0..3_000 {
        let length = 1 + random.below(24);
        let raw = random.bytes(length, b"00123\r\r\n\n;a=\":");
        // Chance alone hardly ever writes a CRLF.
        let raw = String::from_utf8(raw).expect("ASCII").replace(['\r', '\n'], "\r\n").into_bytes();
        let whole = decode_in_packets(Framing::Chunked, LIMIT, &raw, &[raw.len()]);
        complete += usize::from(matches!(whole, Ok(Some(_))));
        for ends in cuttings(raw.len(), &mut random) {
            assert_eq!(decode_in_packets(Framing::Chunked, LIMIT, &raw, &ends), whole);
        }
    }
    assert!(complete > 20, "only {complete} bodies were complete");
}
