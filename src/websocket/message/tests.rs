//! Every stream is fed whole, byte by byte and at random cuts, the way the engine feeds it, and must log the
//! same events each time. Numbers in comments are those of the Autobahn test suite.

use super::*;
use WebSocketError::*;

const LIMIT: usize = 1 << 20;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FIN: u8 = 0x80;

/// An event that outlives its input.
#[derive(Clone, Debug, PartialEq)]
enum Log {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<(u16, String)>),
    Error(WebSocketError),
}

impl Log {
    fn of(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::NeedMore => return None,
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Event::Ping(payload) => Self::Ping(payload.to_owned()),
            Event::Pong => Self::Pong,
            Event::Close(frame) => Self::Close(frame.map(|frame| (frame.code, frame.reason.to_owned()))),
        })
    }
}

fn text(text: &str) -> Log {
    Log::Text(text.to_owned())
}

fn binary(bytes: &[u8]) -> Log {
    Log::Binary(bytes.to_owned())
}

fn ping(payload: &[u8]) -> Log {
    Log::Ping(payload.to_owned())
}

fn close(code: u16, reason: &str) -> Log {
    Log::Close(Some((code, reason.to_owned())))
}

/// A client's frame, whatever `first` says.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0xFE);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0xFF);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ MASK[index % 4]));
    frame
}

/// A decoder between a made-up socket and the bytes it left over, as in the engine.
struct Peer {
    decoder: Decoder,
    left_over: Vec<u8>,
    log: Vec<Log>,
    received: usize,
    limit: usize,
    spare: Option<Box<Assembly>>,
}

impl Peer {
    fn new(limit: usize) -> Self {
        let decoder = Decoder::new();
        Self { decoder, left_over: Vec::new(), log: Vec::new(), received: 0, limit, spare: None }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        let mut input = mem::take(&mut self.left_over);
        input.extend_from_slice(bytes);
        let mut start = 0;
        loop {
            match self.decoder.decode(&mut input[start..], self.limit, &mut self.spare) {
                Ok((consumed, event)) => {
                    start += consumed;
                    let Some(event) = Log::of(event) else { break };
                    self.log.push(event);
                }
                Err(error) => self.log.push(Log::Error(error)),
            }
        }
        self.left_over = input.split_off(start);
        assert!(self.left_over.len() <= 130, "{} bytes left over", self.left_over.len());
        assert!(self.decoder.buffered() <= (2 * self.received).min(self.limit));
    }
}

/// xorshift64*: small, and good enough to choose cuts.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

/// The log of `stream`, which must not depend on how it is cut.
fn decode_within(limit: usize, stream: &[u8]) -> Vec<Log> {
    let mut whole = Peer::new(limit);
    whole.receive(stream);

    let mut bytewise = Peer::new(limit);
    stream.chunks(1).for_each(|byte| bytewise.receive(byte));
    assert_eq!(whole.log, bytewise.log, "byte by byte");

    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ stream.len() as u64);
    for longest in [2, 5, 17, 140, stream.len() + 1] {
        let mut cut = Peer::new(limit);
        let mut rest = stream;
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + random.below(longest)).min(rest.len()));
            cut.receive(now);
            rest = later;
        }
        assert_eq!(whole.log, cut.log, "cut at random, up to {longest} bytes");
    }
    whole.log
}

fn decode(stream: &[u8]) -> Vec<Log> {
    decode_within(LIMIT, stream)
}

/// Frames, and the log they must give.
type Case<'a> = (&'a [(u8, &'a [u8])], &'a [Log]);

fn check(cases: &[Case<'_>]) {
    for (frames, expected) in cases {
        let stream: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
        assert_eq!(decode(&stream), *expected, "{}", stream.escape_ascii());
    }
}

#[test]
fn rfc_examples() {
    // §5.7, those that a client sends.
    assert_eq!(decode(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]), [text("Hello")]);
    assert_eq!(decode(&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]), [Log::Pong]);
    // Those that a server sends are unmasked.
    assert_eq!(decode(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]), [Log::Error(Unmasked)]);
}

#[test]
fn messages_of_every_length_form() {
    // 1.1, 1.2
    for length in [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 70_000] {
        let payload = vec![b'*'; length];
        assert_eq!(decode(&frame(FIN | TEXT, &payload)), [text(str::from_utf8(&payload).unwrap())]);
        let payload = vec![0xFE; length];
        assert_eq!(decode(&frame(FIN | BINARY, &payload)), [binary(&payload)]);
    }
}

#[test]
fn pings_and_pongs() {
    // 2
    check(&[
        (&[(FIN | PING, b"")], &[ping(b"")]),
        (&[(FIN | PING, b"Hello, world!")], &[ping(b"Hello, world!")]),
        (&[(FIN | PING, b"\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF")], &[ping(b"\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF")]),
        (&[(FIN | PING, &[0xFE; 125])], &[ping(&[0xFE; 125])]),
        (&[(FIN | PING, &[0xFE; 126])], &[Log::Error(LongControl)]),
        (&[(FIN | PONG, b"")], &[Log::Pong]),
        (&[(FIN | PONG, b"unsolicited"), (FIN | PING, b"ping")], &[Log::Pong, ping(b"ping")]),
        (
            &[(FIN | PING, b"1"), (FIN | PING, b"2"), (FIN | PING, b"3")],
            &[ping(b"1"), ping(b"2"), ping(b"3")],
        ),
    ]);
}

#[test]
fn reserved_bits_and_opcodes() {
    // 3, 4
    for reserved in 1..=7 {
        check(&[
            (&[(FIN | reserved << 4 | TEXT, b"Hello")], &[Log::Error(ReservedBits)]),
            (
                &[(FIN | TEXT, b"Hello"), (FIN | reserved << 4 | PING, b"")],
                &[text("Hello"), Log::Error(ReservedBits)],
            ),
        ]);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(&[
            (&[(FIN | opcode, b"")], &[Log::Error(ReservedOpcode(opcode))]),
            (
                &[(FIN | TEXT, b"Hello"), (FIN | opcode, b"payload"), (FIN | PING, b"")],
                &[text("Hello"), Log::Error(ReservedOpcode(opcode))],
            ),
        ]);
    }
}

#[test]
fn fragments() {
    // 5
    check(&[
        (&[(PING, b"a"), (FIN | CONTINUATION, b"b")], &[Log::Error(FragmentedControl)]),
        (&[(PONG, b"a"), (FIN | CONTINUATION, b"b")], &[Log::Error(FragmentedControl)]),
        (&[(TEXT, b"a"), (FIN | CONTINUATION, b"b")], &[text("ab")]),
        (&[(BINARY, b"\xFF"), (FIN | CONTINUATION, b"\xFE")], &[binary(b"\xFF\xFE")]),
        (
            &[(TEXT, b"a"), (FIN | PING, b"ping"), (FIN | CONTINUATION, b"b"), (FIN | TEXT, b"c")],
            &[ping(b"ping"), text("ab"), text("c")],
        ),
        (
            &[
                (TEXT, b"a"),
                (CONTINUATION, b"b"),
                (FIN | PING, b"1"),
                (CONTINUATION, b"c"),
                (FIN | PONG, b"2"),
                (FIN | CONTINUATION, b"d"),
            ],
            &[ping(b"1"), Log::Pong, text("abcd")],
        ),
        (&[(FIN | CONTINUATION, b"a"), (FIN | TEXT, b"b")], &[Log::Error(UnexpectedContinuation)]),
        (&[(CONTINUATION, b"a"), (FIN | TEXT, b"b")], &[Log::Error(UnexpectedContinuation)]),
        (
            &[(TEXT, b"a"), (FIN | CONTINUATION, b"b"), (CONTINUATION, b"c")],
            &[text("ab"), Log::Error(UnexpectedContinuation)],
        ),
        (&[(FIN | TEXT, b"a"), (FIN | CONTINUATION, b"b")], &[text("a"), Log::Error(UnexpectedContinuation)]),
        (&[(TEXT, b"a"), (FIN | TEXT, b"b")], &[Log::Error(InterruptedMessage)]),
        (&[(TEXT, b"a"), (BINARY, b"b")], &[Log::Error(InterruptedMessage)]),
        // 6.1: empty messages and fragments
        (&[(FIN | TEXT, b"")], &[text("")]),
        (&[(TEXT, b""), (CONTINUATION, b""), (FIN | CONTINUATION, b"")], &[text("")]),
        (&[(TEXT, b""), (CONTINUATION, b"middle"), (FIN | CONTINUATION, b"")], &[text("middle")]),
        (
            &[(TEXT, b""), (FIN | CONTINUATION, b""), (FIN | BINARY, b""), (FIN | TEXT, b"x")],
            &[text(""), binary(b""), text("x")],
        ),
        // A close frame ends everything, within a message too.
        (&[(TEXT, b"a"), (FIN | CLOSE, b"\x03\xE8"), (FIN | CONTINUATION, b"b")], &[close(1000, "")]),
    ]);
}

#[test]
fn many_fragments() {
    // 9.3, and the same for empty ones, which must not add up to anything
    let hello = "Hello-µ@ßöäüàá-UTF-8!! 😀";
    let mut stream = frame(TEXT, b"");
    for byte in hello.as_bytes() {
        stream.extend(frame(CONTINUATION, &[*byte]));
        stream.extend(frame(CONTINUATION, b"").repeat(100));
        stream.extend(frame(FIN | PING, b"?"));
    }
    stream.extend(frame(FIN | CONTINUATION, b""));
    let mut expected = vec![ping(b"?"); hello.len()];
    expected.push(text(hello));
    assert_eq!(decode(&stream), expected);

    let mut peer = Peer::new(LIMIT);
    peer.receive(&frame(BINARY, b""));
    peer.receive(&frame(CONTINUATION, b"").repeat(10_000));
    assert_eq!((peer.decoder.buffered(), peer.log.len()), (0, 0));
}

#[test]
fn good_text() {
    // 6.2, 6.5, 6.22
    for good in
        ["Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u{0}\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}"]
    {
        assert_eq!(decode(&frame(FIN | TEXT, good.as_bytes())), [text(good)]);
        for cut in 0..=good.len() {
            let (front, back) = good.as_bytes().split_at(cut);
            check(&[(&[(TEXT, front), (FIN | CONTINUATION, back)], &[text(good)])]);
        }
    }
}

#[test]
fn bad_text() {
    // 6.3, 6.6–6.21: broken off, overlong, surrogates, beyond U+10FFFF, stray bytes
    for bad in [
        &b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited"[..],
        b"\xCE\xBA\xE1\xBD",
        b"\xCE",
        b"\xE0\x9F\xBF",
        b"\xED\xBF\xBF",
        b"\xF0\x8F\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xC0\x80",
        b"\x80",
        b"\xFE",
        b"\xFF",
    ] {
        check(&[(&[(FIN | TEXT, bad), (FIN | PING, b"")], &[Log::Error(InvalidUtf8)])]);
        for cut in 0..=bad.len() {
            let (front, back) = bad.split_at(cut);
            check(&[(&[(TEXT, front), (FIN | CONTINUATION, back)], &[Log::Error(InvalidUtf8)])]);
        }
    }
}

#[test]
fn a_bad_byte_fails_at_once() {
    // 6.4: in the next fragment, in the next piece of a frame, and in one that makes the byte before it
    // impossible
    for (first, good, bad) in [
        (TEXT, &b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"[..], &b"\xF4\x90"[..]),
        (FIN | TEXT, b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4", b"\x90"),
        (FIN | TEXT, b"text", b"\xFF"),
    ] {
        let payload = [good, bad, b"and more that never comes"].concat();
        let stream = frame(first, &payload);
        let before = stream.len() - payload.len() + good.len();
        let mut peer = Peer::new(LIMIT);
        peer.receive(&stream[..before]);
        assert_eq!(peer.log, []);
        peer.receive(&stream[before..before + bad.len()]);
        assert_eq!(peer.log, [Log::Error(InvalidUtf8)]);
    }
}

#[test]
fn closes() {
    // 7
    let longest = "*".repeat(123);
    check(&[
        (&[(FIN | CLOSE, b"")], &[Log::Close(None)]),
        (&[(FIN | CLOSE, b"\x03\xE8")], &[close(1000, "")]),
        (&[(FIN | CLOSE, b"\x0B\xB8Hello World!")], &[close(3000, "Hello World!")]),
        (&[(FIN | CLOSE, &[b"\x03\xE8", longest.as_bytes()].concat())], &[close(1000, &longest)]),
        (&[(FIN | CLOSE, &[b'*'; 126])], &[Log::Error(LongControl)]),
        (&[(CLOSE, b"\x03\xE8")], &[Log::Error(FragmentedControl)]),
        (&[(FIN | CLOSE, b"\x03")], &[Log::Error(HalfCloseCode)]),
        (&[(FIN | CLOSE, b"\x03\xED")], &[Log::Error(InvalidCloseCode(1005))]),
        (&[(FIN | CLOSE, b"\x03\xE8\xCE\xBA\xE1\xBD")], &[Log::Error(InvalidUtf8)]),
        (&[(FIN | TEXT, b"a"), (FIN | CLOSE, b""), (FIN | CLOSE, b"")], &[text("a"), Log::Close(None)]),
        (
            &[(FIN | CLOSE, b"\x03\xE8"), (FIN | TEXT, b"a"), (0x7F, b""), (FIN | PING, b"")],
            &[close(1000, "")],
        ),
    ]);
}

#[test]
fn nothing_comes_of_what_follows_an_error() {
    check(&[
        (
            &[(FIN | TEXT, b"a"), (FIN | TEXT, b"\xFF"), (FIN | TEXT, b"b"), (FIN | CLOSE, b"")],
            &[text("a"), Log::Error(InvalidUtf8)],
        ),
        (&[(TEXT, b"\xFF"), (FIN | CONTINUATION, b""), (FIN | TEXT, b"b")], &[Log::Error(InvalidUtf8)]),
    ]);
}

#[test]
fn limits() {
    for (frames, expected) in [
        (vec![frame(FIN | TEXT, b"12345678")], text("12345678")),
        (vec![frame(FIN | TEXT, b"123456789")], Log::Error(TooBig)),
        (vec![frame(TEXT, b"1234"), frame(FIN | CONTINUATION, b"5678")], text("12345678")),
        (vec![frame(TEXT, b"1234"), frame(FIN | CONTINUATION, b"56789")], Log::Error(TooBig)),
        (vec![frame(TEXT, b"12345678"), frame(FIN | CONTINUATION, b"")], text("12345678")),
        (vec![frame(FIN | PING, b"1234567890")], ping(b"1234567890")),
    ] {
        assert_eq!(decode_within(8, &frames.concat()), [expected]);
    }
}

#[test]
fn a_declared_length_allocates_nothing_and_too_much_is_refused_before_it_comes() {
    let announced = |first, length: usize| {
        let length = u64::try_from(length).expect("64 bits are enough").to_be_bytes();
        [&[first, 0xFF], length.as_slice(), &[1, 2, 3, 4]].concat()
    };
    let mut peer = Peer::new(usize::MAX);
    peer.receive(&announced(FIN | BINARY, usize::MAX >> 4));
    assert_eq!((peer.decoder.buffered(), peer.log.len()), (0, 0));
    peer.receive(&[0; 1000]);
    assert!(peer.decoder.buffered() <= 2000);

    let mut peer = Peer::new(1000);
    peer.receive(&frame(BINARY, &[0; 600]));
    peer.receive(&frame(FIN | CONTINUATION, &[0; 401])[..8]);
    assert_eq!(peer.log, [Log::Error(TooBig)]);

    // Announced on top of what is there, the longest length of all is still only an announcement.
    let mut peer = Peer::new(usize::MAX);
    peer.receive(&frame(BINARY, b"x"));
    peer.receive(&[announced(FIN, usize::MAX >> 1), vec![5]].concat());
    assert_eq!(peer.log, []);
}

#[test]
fn the_most_that_is_left_over_is_the_largest_control_frame_but_one_byte() {
    let ping = frame(FIN | PING, &[b'x'; CONTROL_LIMIT]);
    let mut peer = Peer::new(LIMIT);
    peer.receive(&ping[..ping.len() - 1]);
    assert_eq!((peer.left_over.len(), peer.log.len()), (INCOMPLETE, 0));
}

#[test]
fn a_decoder_tells_how_much_of_a_payload_is_to_come() {
    let stream =
        [frame(TEXT, b"12345678"), frame(FIN | PING, b"1234"), frame(FIN | CONTINUATION, b"9")].concat();
    let mut peer = Peer::new(LIMIT);
    for (end, remaining) in [(0, 0), (5, 0), (6, 8), (7, 7), (13, 1), (14, 0), (22, 0), (30, 1), (31, 0)] {
        peer.receive(&stream[peer.received..end]);
        assert_eq!(peer.decoder.remaining(), remaining, "{end}");
    }
    assert_eq!(peer.log, [ping(b"1234"), text("123456789")]);
}

#[test]
fn a_whole_message_is_delivered_where_it_lies() {
    let mut input = [frame(FIN | TEXT, b"first"), frame(FIN | BINARY, b"second")].concat();
    let place = input.as_ptr_range();
    let mut decoder = Decoder::new();
    let (consumed, event) = decoder.decode(&mut input, LIMIT, &mut None).unwrap();
    let Event::Text(first) = event else { panic!("{event:?}") };
    assert!(place.contains(&first.as_ptr()));
    assert_eq!((first, consumed), ("first", 11));
    let (consumed, event) = decoder.decode(&mut input[consumed..], LIMIT, &mut None).unwrap();
    assert_eq!((event, consumed), (Event::Binary(b"second"), 12));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn memory_is_given_back_after_its_message() {
    let mut stream = [frame(TEXT, b"Hello, "), frame(FIN | CONTINUATION, b"world!")].concat();
    let total = stream.len();
    let (mut decoder, mut spare) = (Decoder::new(), None);
    let decoded = decoder.decode(&mut stream, LIMIT, &mut spare);
    assert_eq!(decoded, Ok((total, Event::Text("Hello, world!"))));
    assert!(decoder.buffered() > 0 && spare.is_none());
    assert_eq!(decoder.decode(&mut [], LIMIT, &mut spare), Ok((0, Event::NeedMore)));
    assert_eq!(decoder.buffered(), 0);
    assert!(spare.is_some());
}

#[test]
fn one_allocation_serves_message_after_message_of_either_kind() {
    let mut spare = None;
    let mut places = Vec::new();
    for opcode in [BINARY, TEXT, BINARY, BINARY, TEXT, TEXT] {
        let mut decoder = Decoder::new();
        let mut front = frame(opcode, &[1; 400]);
        let total = front.len();
        assert_eq!(decoder.decode(&mut front, LIMIT, &mut spare), Ok((total, Event::NeedMore)));
        assert!(spare.is_none());
        decoder.reclaim(&mut spare, LIMIT);
        assert!(spare.is_none(), "a message is under way");
        let mut back = frame(FIN | CONTINUATION, &[1; 400]);
        let (_, event) = decoder.decode(&mut back, LIMIT, &mut spare).unwrap();
        match event {
            Event::Text(text) => places.push((text.len(), text.as_ptr())),
            Event::Binary(bytes) => places.push((bytes.len(), bytes.as_ptr())),
            event => panic!("{event:?}"),
        }
        decoder.reclaim(&mut spare, LIMIT);
        assert_eq!(decoder.buffered(), 0);
        assert_eq!(spare.as_ref().map(|spare| spare.capacity()), Some(800));
        // What was reclaimed leaves a decoder that works.
        let mut next = frame(FIN | TEXT, b"x");
        assert_eq!(decoder.decode(&mut next, LIMIT, &mut spare), Ok((7, Event::Text("x"))));
    }
    assert_eq!(places, [places[0]; 6]);
}

#[test]
fn more_memory_than_is_to_be_kept_is_freed() {
    let (mut decoder, mut spare) = (Decoder::new(), None);
    let mut stream = [frame(BINARY, &[1; 400]), frame(FIN | CONTINUATION, b"")].concat();
    assert!(matches!(decoder.decode(&mut stream, LIMIT, &mut spare), Ok((_, Event::Binary(_)))));
    decoder.reclaim(&mut spare, 399);
    assert!(spare.is_none());
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn memory_doubles_once_it_is_full() {
    for opcode in [TEXT, BINARY] {
        let mut peer = Peer::new(1_200);
        for (fragment, buffered) in [(400, 400), (200, 800), (200, 800), (1, 1_200), (399, 1_200)] {
            peer.receive(&frame(
                if peer.received == 0 { opcode } else { CONTINUATION },
                &vec![b'x'; fragment],
            ));
            assert_eq!(peer.decoder.buffered(), buffered);
        }
    }
}

#[test]
fn a_text_cut_within_its_characters_grows_to_no_more_than_its_limit() {
    let limit = 3 << 18;
    let stream = frame(FIN | TEXT, "€".repeat(limit / 3).as_bytes());
    for size in [1000, 1 << 16] {
        let mut peer = Peer::new(limit);
        stream.chunks(size).for_each(|part| {
            peer.receive(part);
            assert!(peer.decoder.buffered() <= limit);
        });
        assert_eq!(peer.log.len(), 1);
    }
}

#[test]
fn random_streams_of_good_messages_come_out_as_they_went_in() {
    let mut random = Random(1);
    for _ in 0..200 {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..1 + random.below(6) {
            let longest = [4, 130, 700][random.below(3)];
            let opcode = [TEXT, BINARY][random.below(2)];
            let alphabet = ['a', '\n', 'é', '日', '😀', '\u{0}'];
            let message: String = (0..random.below(longest)).map(|_| alphabet[random.below(6)]).collect();
            let mut rest = message.as_bytes();
            let mut first = opcode;
            while random.below(3) > 0 {
                let (now, later) = rest.split_at(random.below(rest.len() + 1));
                stream.extend(frame(first, now));
                (rest, first) = (later, CONTINUATION);
                if random.below(2) == 0 {
                    let payload: Vec<u8> = (0..random.below(126)).map(|_| random.below(256) as u8).collect();
                    stream.extend(frame(FIN | PING, &payload));
                    expected.push(Log::Ping(payload));
                }
            }
            stream.extend(frame(FIN | first, rest));
            expected.push(if opcode == TEXT { Log::Text(message) } else { Log::Binary(message.into()) });
        }
        assert_eq!(decode(&stream), expected);
    }
}

#[test]
fn random_damage_is_judged_the_same_however_it_is_cut() {
    let mut random = Random(2);
    let good = [
        frame(TEXT, "Grüße ".as_bytes()),
        frame(FIN | PING, b"?"),
        frame(FIN | CONTINUATION, "日本語 😀".as_bytes()),
        frame(FIN | BINARY, &[7; 130]),
        frame(FIN | CLOSE, b"\x03\xE8bye"),
    ]
    .concat();
    for _ in 0..3000 {
        let mut stream = good.clone();
        for _ in 0..1 + random.below(3) {
            let index = random.below(stream.len());
            match random.below(3) {
                0 => stream[index] ^= 1 << random.below(8),
                1 => stream[index] = random.below(256) as u8,
                _ => drop(stream.remove(index)),
            }
        }
        decode_within(200, &stream);
    }
}

#[test]
fn an_idle_decoder_is_small() {
    assert_eq!(size_of::<Decoder>(), 2 * size_of::<usize>());
}
