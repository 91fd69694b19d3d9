//! What the pure parts cost: parsers, writers and collections, fed from memory.
//!
//! Inputs are those of a browser that talks to a SockJS server. Parsers that work in place get a fresh copy for each
//! run, which is not timed. The default run takes about two minutes; `cargo bench --bench codec -- NAME` runs a part.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sockjs_server::collections::{Hashed, Key, Slab, Table, Timer, Wheel};
use sockjs_server::http::{BodyDecoder, Framing, HeadLimits, HeadScanner, HeaderStorage, Request};
use sockjs_server::sockjs::Messages;
use sockjs_server::sockjs::json::write_string;
use sockjs_server::websocket::frame::{FrameHeader, Opcode, write_header};
use sockjs_server::websocket::mask::unmask;
use sockjs_server::websocket::message::{Decoder, Event};

/// Payloads from a key press to the largest message.
const SIZES: [usize; 4] = [16, 125, 4 << 10, 1 << 20];

const LIMIT: usize = 2 << 20;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const LIMITS: HeadLimits = HeadLimits { request_line: 8 << 10, header_section: 16 << 10, header_count: 100 };

/// The least that a program sends.
const BARE_HEAD: &[u8] =
    b"POST /echo/000/abcdefgh/xhr_send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 27\r\n\r\n";

/// What Chromium sends with an `xhr_send`.
const BROWSER_HEAD: &[u8] = b"POST /echo/318/kmlvzw0n/xhr_send?t=1700000000000 HTTP/1.1\r\n\
    Host: chat.example.org\r\n\
    Connection: keep-alive\r\n\
    Content-Length: 27\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Not;A=Brand\";v=\"99\", \"Chromium\";v=\"139\"\r\n\
    Content-Type: text/plain;charset=UTF-8\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Accept: */*\r\n\
    Origin: https://chat.example.org\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: https://chat.example.org/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: JSESSIONID=dummy; theme=dark\r\n\r\n";

fn request_head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request head");
    for (name, head) in [("bare", BARE_HEAD), ("browser", BROWSER_HEAD)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(BenchmarkId::new("scan", name), |bencher| {
            bencher.iter(|| HeadScanner::default().scan(black_box(head), &LIMITS).unwrap().unwrap());
        });
        group.bench_function(BenchmarkId::new("parse", name), |bencher| {
            bencher.iter(|| {
                let mut storage = HeaderStorage::new();
                Request::parse(black_box(head), &mut storage, &LIMITS).unwrap().framing()
            });
        });
    }
}

fn chunked_body(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunked body");
    for size in SIZES {
        // Proxies pass a body on in pieces of this size.
        let content = vec![b'x'; size];
        let mut body = Vec::new();
        for chunk in content.chunks(4 << 10) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_batched_ref(
                || body.clone(),
                |body| {
                    let progress =
                        BodyDecoder::new(Framing::Chunked, LIMIT).unwrap().decode(body, 0).unwrap();
                    assert!(progress.complete);
                    progress.length
                },
                batch(size),
            );
        });
    }
}

fn frame_header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame header");
    for size in SIZES {
        let frame = client_frame(&vec![b'x'; size]);
        group.bench_function(BenchmarkId::new("parse", size), |bencher| {
            bencher.iter(|| FrameHeader::parse(black_box(&frame)).unwrap().unwrap());
        });
        let mut out = Vec::with_capacity(16);
        group.bench_function(BenchmarkId::new("write", size), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_header(&mut out, Opcode::Text, black_box(size));
            });
        });
    }
}

/// A frame as it lies in the read buffer: header, unmasking, UTF-8.
fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for (script, unit) in [("ASCII", "sixteen letters "), ("CJK", "汉字仮名混じりの文章。")] {
        for size in SIZES {
            let mut text = unit.repeat(size / unit.len() + 1);
            text.truncate((0..=size).rfind(|at| text.is_char_boundary(*at)).unwrap());
            let frame = client_frame(text.as_bytes());
            group.throughput(Throughput::Bytes(frame.len() as u64));
            group.bench_function(BenchmarkId::new(script, size), |bencher| {
                bencher.iter_batched_ref(
                    || frame.clone(),
                    |frame| {
                        let mut decoder = Decoder::new();
                        let (used, event) = decoder.decode(frame, LIMIT, &mut None).unwrap();
                        assert!(matches!(event, Event::Text(_)));
                        used
                    },
                    batch(size),
                );
            });
        }
    }
}

fn unmasking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unmask");
    for size in SIZES {
        // What it makes of the bytes does not matter to its speed: no copy is needed.
        let mut payload = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| unmask(black_box(&mut payload), MASK));
        });
    }
}

/// Texts by what they ask of a JSON string's reader and writer.
fn texts(size: usize) -> [(&'static str, String); 3] {
    let fill = |unit: &str| unit.repeat((size / unit.len()).max(1));
    [
        ("ASCII", fill("letters, spaces ")),
        ("escapes", fill("\"q\"\\\n\u{2028}abcd")),
        ("CJK", fill("汉字仮名")),
    ]
}

fn payload(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("payload");
    let mut scratch = String::new();
    for size in [16, 4 << 10] {
        for (name, text) in texts(size) {
            let mut body = b"[".to_vec();
            write_string(&mut body, &text);
            body.push(b']');
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    let mut messages = Messages::parse(black_box(&body)).unwrap();
                    while let Some(text) = messages.next(&mut scratch) {
                        black_box(text);
                    }
                });
            });
        }
    }
    let many = format!("[{}]", vec!["\"sixteen letters \""; 100].join(","));
    group.throughput(Throughput::Bytes(many.len() as u64));
    group.bench_function("100 messages", |bencher| {
        bencher.iter(|| {
            let mut messages = Messages::parse_frame(black_box(&many)).unwrap();
            while let Some(text) = messages.next(&mut scratch) {
                black_box(text);
            }
        });
    });
}

fn json_string(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("JSON string");
    for size in [16, 4 << 10] {
        for (name, text) in texts(size) {
            let mut out = Vec::with_capacity(2 * text.len() + 64);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    write_string(&mut out, black_box(&text));
                });
            });
        }
    }
}

/// Deadlines like those of sessions: spread over half a minute.
fn wheel(criterion: &mut Criterion) {
    const HORIZON: u64 = 30_000;
    let mut group = criterion.benchmark_group("wheel");
    for count in [1_000_u32, 100_000, 1_000_000] {
        let mut random = Random(u64::from(count));
        let mut wheel = Wheel::new(0);
        let mut timers: Vec<_> = (0..count).map(|_| Timer::default()).collect();
        for (owner, timer) in (0..).zip(&mut timers) {
            wheel.arm(timer, owner, 1 + random.below(HORIZON));
        }
        group.bench_function(BenchmarkId::new("move", count), |bencher| {
            bencher.iter(|| {
                let owner = random.below(u64::from(count));
                wheel.arm(&mut timers[owner as usize], owner as u32, 1 + random.below(HORIZON));
            });
        });
        group.bench_function(BenchmarkId::new("cancel and arm", count), |bencher| {
            bencher.iter(|| {
                let owner = random.below(u64::from(count));
                let timer = &mut timers[owner as usize];
                wheel.cancel(timer);
                wheel.arm(timer, owner as u32, 1 + random.below(HORIZON));
            });
        });
        let mut now = 0;
        group.bench_function(BenchmarkId::new("expire and arm", count), |bencher| {
            bencher.iter(|| {
                let owner = loop {
                    match wheel.expire(now) {
                        Some(owner) => break owner,
                        None => now += 1,
                    }
                };
                let deadline = now + 1 + random.below(HORIZON);
                wheel.arm(&mut timers[owner as usize], owner, deadline);
            });
        });
    }
}

/// An element that is found by its session id.
struct Session {
    id: Box<[u8]>,
    chain: u32,
}

impl Hashed for Session {
    fn hash_key(&self) -> &[u8] {
        &self.id
    }
    fn chain(&self) -> u32 {
        self.chain
    }
    fn set_chain(&mut self, next: u32) {
        self.chain = next;
    }
}

fn session_lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session lookup");
    for count in [1_000_u64, 1_000_000] {
        let (mut slab, mut table) = (Slab::new(), Table::new());
        let id = |number: u64| format!("{number:08x}").into_bytes().into_boxed_slice();
        for number in 0..count {
            let key: Key<Session> = slab.insert(Session { id: id(number), chain: 0 });
            assert!(table.insert(&mut slab, key));
        }
        let mut random = Random(count);
        // Ids are made ahead: a thousand of them, in no order.
        let known: Vec<_> = (0..1000).map(|_| id(random.below(count))).collect();
        let mut ids = known.iter().cycle();
        group.bench_function(BenchmarkId::new("found", count), |bencher| {
            bencher.iter(|| table.find(&slab, ids.next().unwrap()).unwrap());
        });
        let unknown: Vec<_> = (0..1000).map(|_| id(count + random.below(count))).collect();
        let mut ids = unknown.iter().cycle();
        group.bench_function(BenchmarkId::new("unknown", count), |bencher| {
            bencher.iter(|| assert!(table.find(&slab, ids.next().unwrap()).is_none()));
        });
    }
}

/// A text frame as a client sends it.
fn client_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_header(&mut frame, Opcode::Text, payload.len());
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[start..], MASK);
    frame
}

/// Copies of a large input are made one at a time, so that they do not fill the memory.
fn batch(size: usize) -> BatchSize {
    if size < 64 << 10 { BatchSize::SmallInput } else { BatchSize::PerIteration }
}

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500));
    targets = request_head, chunked_body, frame_header, frame, unmasking, payload, json_string, wheel, session_lookup
}
criterion_main!(benches);
