use super::super::HeadScanner;
use super::super::testing::{LIMITS, Random};
use super::*;

/// Scans and parses `head` as a connection would, and looks at the request.
fn with_request<R>(head: &str, look: impl FnOnce(Result<Request<'_, '_>, HttpError>) -> R) -> R {
    let mut storage = HeaderStorage::new();
    let request = match HeadScanner::default().scan(head.as_bytes(), &LIMITS) {
        Ok(Some(length)) if length == head.len() => Request::parse(head.as_bytes(), &mut storage, &LIMITS),
        Ok(_) => panic!("{head:?} is not exactly one head"),
        Err(error) => Err(error),
    };
    look(request)
}

fn with_sound_request<R>(head: &str, look: impl FnOnce(Request<'_, '_>) -> R) -> R {
    with_request(head, |request| look(request.unwrap_or_else(|error| panic!("{head:?}: {error}"))))
}

fn error(head: &str) -> Option<HttpError> {
    with_request(head, |request| request.err())
}

/// The head of a POST with `Host` and these lines.
fn post(version: &str, lines: &str) -> String {
    format!("POST /echo/000/abc/xhr_send HTTP/{version}\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn a_request_of_a_browser() {
    let head = "GET /echo/000/abc/jsonp?c=_jp.a&t=1 HTTP/1.1\r\n\
        Host: localhost:8081\r\n\
        Connection: keep-alive\r\n\
        accept: */*\r\n\
        Origin:   http://localhost\t\r\n\
        Empty:\r\n\
        Cookie: JSESSIONID=abc; theme=dark\r\n\
        Accept: text/plain\r\n\r\n";
    with_sound_request(head, |request| {
        assert_eq!(request.method(), Method::Get);
        assert_eq!(request.target(), "/echo/000/abc/jsonp?c=_jp.a&t=1");
        assert_eq!(request.path(), "/echo/000/abc/jsonp");
        assert_eq!(request.query(), Some("c=_jp.a&t=1"));
        assert_eq!(request.version(), Version::Http11);
        assert_eq!(request.framing(), Framing::None);
        assert!(request.keep_alive());
        assert!(!request.expects_continue());

        assert_eq!(request.header("ORIGIN"), Some(&b"http://localhost"[..]));
        assert_eq!(request.header("empty"), Some(&b""[..]));
        assert_eq!(request.header("referer"), None);
        assert_eq!(request.header("accept"), Some(&b"*/*"[..]));
        let all: Vec<&[u8]> = request.header_values("Accept").collect();
        assert_eq!(all, [&b"*/*"[..], b"text/plain"]);
        let names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["Host", "Connection", "accept", "Origin", "Empty", "Cookie", "Accept"]);
    });
}

#[test]
fn methods_are_case_sensitive_tokens() {
    let table = [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("OPTIONS", Method::Options),
        ("get", Method::Other("get")),
        ("PUT", Method::Other("PUT")),
        ("G!#$%&'*+-.^_`|~9", Method::Other("G!#$%&'*+-.^_`|~9")),
    ];
    for (name, method) in table {
        with_sound_request(&format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n"), |request| {
            assert_eq!(request.method(), method);
            assert_eq!(request.method().to_string(), name);
        });
    }
}

#[test]
fn request_lines() {
    use HttpError::{RequestLine, Target, UnsupportedVersion};
    let table = [
        ("GET / HTTP/1.1", None),
        ("GET / HTTP/1.0", None),
        ("GET http://b.example/c HTTP/1.1", None),
        ("GET  / HTTP/1.1", Some(RequestLine)),
        ("GET /  HTTP/1.1", Some(RequestLine)),
        ("GET / HTTP/1.1 ", Some(RequestLine)),
        (" GET / HTTP/1.1", Some(RequestLine)),
        ("GET\t/ HTTP/1.1", Some(RequestLine)),
        ("GET /a b HTTP/1.1", Some(RequestLine)),
        ("GET /", Some(RequestLine)),
        ("GET / ", Some(RequestLine)),
        ("GET", Some(RequestLine)),
        ("G\u{e9}T / HTTP/1.1", Some(RequestLine)),
        ("G(T / HTTP/1.1", Some(RequestLine)),
        ("GET / http/1.1", Some(RequestLine)),
        ("GET / HTTP/1", Some(RequestLine)),
        ("GET / HTTP/1.10", Some(RequestLine)),
        ("GET / HTTP/11.1", Some(RequestLine)),
        ("GET / HTTP/a.b", Some(RequestLine)),
        ("GET / HTTPS/1.1", Some(RequestLine)),
        ("GET / HTTP/2.0 a", Some(RequestLine)),
        ("GET / HTTP/2.0", Some(UnsupportedVersion)),
        ("GET / HTTP/0.9", Some(UnsupportedVersion)),
        ("GET / HTTP/1.2", Some(UnsupportedVersion)),
        ("PRI * HTTP/2.0", Some(UnsupportedVersion)),
        ("GET /\u{e9} HTTP/1.1", Some(Target)),
        ("GET /#a HTTP/1.1", Some(Target)),
        ("GET * HTTP/1.1", Some(Target)),
        ("GET http://@b/ HTTP/1.1", Some(HttpError::HostInvalid)),
    ];
    for (line, expected) in table {
        for before in ["", "\r\n", "\r\n\r\n"] {
            let head = format!("{before}{line}\r\nHost: a\r\n\r\n");
            assert_eq!(error(&head), expected, "{head:?}");
        }
    }
}

#[test]
fn field_lines() {
    use HttpError::FieldName;
    let table = [
        ("X: a", None),
        ("X:a", None),
        ("X:", None),
        ("X: caf\u{e9}", None),
        ("X: a\tb", None),
        ("X!#$%&'*+-.^_`|~9: a", None),
        ("X : a", Some(FieldName)),
        ("X\t: a", Some(FieldName)),
        ("X", Some(FieldName)),
        (": a", Some(FieldName)),
        ("X(: a", Some(FieldName)),
        ("X\u{e9}: a", Some(FieldName)),
        ("X Y: a", Some(FieldName)),
        ("\"X\": a", Some(FieldName)),
        (" X: a", Some(HttpError::FoldedField)),
        ("\tX: a", Some(HttpError::FoldedField)),
        ("X: a\r\n b", Some(HttpError::FoldedField)),
        ("X: a\0b", Some(HttpError::ControlByte)),
        ("X: a\rb", Some(HttpError::BareCr)),
        ("X: a\nb", Some(HttpError::BareLf)),
    ];
    for (line, expected) in table {
        for head in [
            format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n"),
        ] {
            assert_eq!(error(&head), expected, "{head:?}");
        }
    }
}

#[test]
fn exactly_one_valid_host() {
    use HttpError::{HostInvalid, HostMissing, HostRepeated};
    let table = [
        ("1.1", "", Some(HostMissing)),
        ("1.1", "X-Host: a\r\n", Some(HostMissing)),
        ("1.1", "HOST: a\r\n", None),
        ("1.1", "Host:\r\n", Some(HostInvalid)),
        ("1.1", "Host: a\r\nHost: a\r\n", Some(HostRepeated)),
        ("1.1", "Host: a\r\nX: b\r\nhost: b\r\n", Some(HostRepeated)),
        ("1.1", "Host: a b\r\n", Some(HostInvalid)),
        ("1.1", "Host: user@a\r\n", Some(HostInvalid)),
        ("1.1", "Host: a, b\r\n", Some(HostInvalid)),
        ("1.0", "", None),
        ("1.0", "Host: a\r\n", None),
        ("1.0", "Host: a\r\nHost: a\r\n", Some(HostRepeated)),
        ("1.0", "Host: a/b\r\n", Some(HostInvalid)),
    ];
    for (version, lines, expected) in table {
        let head = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        assert_eq!(error(&head), expected, "{head:?}");
        // An absolute target overrides Host, but does not stand in for it (RFC 9112 §3.2.2).
        let head = format!("GET http://b/ HTTP/{version}\r\n{lines}\r\n");
        assert_eq!(error(&head), expected, "{head:?}");
    }
}

#[test]
fn framing() {
    use Framing::{Chunked, Length};
    let table = [
        ("1.1", "", Framing::None),
        ("1.0", "", Framing::None),
        ("1.1", "Content-Length: 0\r\n", Length(0)),
        ("1.1", "content-length:5\r\n", Length(5)),
        ("1.1", "Content-Length: \t005 \r\n", Length(5)),
        ("1.0", "Content-Length: 5\r\n", Length(5)),
        ("1.1", "Content-Length: 18446744073709551615\r\n", Length(u64::MAX)),
        ("1.1", "Transfer-Encoding: chunked\r\n", Chunked),
        ("1.1", "transfer-encoding:\tChUnKeD \r\n", Chunked),
    ];
    for (version, lines, expected) in table {
        with_sound_request(&post(version, lines), |request| {
            assert_eq!(request.framing(), expected, "{lines:?}");
        });
    }
}

#[test]
fn framing_in_doubt_is_refused() {
    use HttpError::{
        ContentLengthInvalid, ContentLengthRepeated, TransferCodingUnknown, TransferEncodingInvalid,
    };
    let invalid_lengths = [
        "",
        "+5",
        "-5",
        "5 5",
        "5, 5",
        "5,5",
        "0x5",
        "5a",
        "a",
        "5.0",
        "5;",
        "\u{665}",
        "\"5\"",
        "18446744073709551616",
        "99999999999999999999999",
    ];
    for value in invalid_lengths {
        assert_eq!(
            error(&post("1.1", &format!("Content-Length: {value}\r\n"))),
            Some(ContentLengthInvalid),
            "{value}"
        );
    }

    let invalid_codings = [
        "",
        ",",
        "gzip",
        "identity",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        ", chunked",
        "chunked, ",
        "gzip,, chunked",
        "chunked, chunked",
        "chunked, gzip",
        "chunked, identity",
        "chunked;a=b",
        "chunked;",
        "chunked ;a=b, chunked",
        "gzip, chunked;a=b",
        "gzip;q=1",
        "a b, chunked",
        "x;a=\"b, chunked\"",
        "(, chunked",
        "chunked\u{a0}",
    ];
    for value in invalid_codings {
        let found = error(&post("1.1", &format!("Transfer-Encoding: {value}\r\n")));
        assert_eq!(found, Some(TransferEncodingInvalid), "{value}");
    }

    for value in ["gzip, chunked", "identity,chunked", "x;a=b, chunked", "gzip, deflate , Chunked"] {
        let found = error(&post("1.1", &format!("Transfer-Encoding: {value}\r\n")));
        assert_eq!(found, Some(TransferCodingUnknown), "{value}");
    }

    let table = [
        ("1.1", "Content-Length: 5\r\nContent-Length: 5\r\n", ContentLengthRepeated),
        ("1.1", "Content-Length: 5\r\ncontent-length: 6\r\n", ContentLengthRepeated),
        ("1.0", "Content-Length: 5\r\nContent-Length: 5\r\n", ContentLengthRepeated),
        ("1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HttpError::LengthAndTransferEncoding),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", HttpError::LengthAndTransferEncoding),
        (
            "1.1",
            "Transfer-Encoding: gzip, chunked\r\nContent-Length: 0\r\n",
            HttpError::LengthAndTransferEncoding,
        ),
        ("1.0", "Transfer-Encoding: chunked\r\n", HttpError::TransferEncodingInHttp10),
        // Several fields are one list (RFC 9110 §5.3).
        ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncodingInvalid),
        ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", TransferEncodingInvalid),
        ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", TransferEncodingInvalid),
        ("1.1", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", TransferCodingUnknown),
        ("1.1", "Transfer-Encoding : chunked\r\n", HttpError::FieldName),
    ];
    for (version, lines, expected) in table {
        assert_eq!(error(&post(version, lines)), Some(expected), "{version} {lines:?}");
    }
}

#[test]
fn keep_alive() {
    let table = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Close\r\n", false),
        ("1.1", "Connection: keep-alive, Upgrade\r\n", true),
        ("1.1", "Connection: Upgrade , close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "X-Connect: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: Upgrade\r\n", false),
    ];
    for (version, lines, expected) in table {
        with_sound_request(&post(version, lines), |request| {
            assert_eq!(request.keep_alive(), expected, "{version} {lines:?}");
        });
    }
}

/// Fields are told apart by their length first, but not by it alone.
#[test]
fn other_names_of_the_same_length_steer_nothing() {
    let lines = "From: a b\r\nCookie: 200-ok\r\nUser-Agent: close\r\nAccept-Charset: 5\r\n\
        If-Modified-Since: chunked\r\n";
    with_sound_request(&post("1.1", lines), |request| {
        assert_eq!((request.framing(), request.keep_alive()), (Framing::None, true));
        assert!(!request.expects_continue());
    });
}

#[test]
fn expectations() {
    let table = [
        ("1.1", "", Ok(false)),
        ("1.1", "Expect: 100-continue\r\n", Ok(true)),
        ("1.1", "expect: 100-Continue , \r\n", Ok(true)),
        ("1.1", "Expect:\r\n", Ok(false)),
        ("1.1", "Expect: 100-continue\r\nExpect:\r\n", Ok(true)),
        ("1.1", "Expect: 200-ok\r\n", Err(HttpError::ExpectationUnknown)),
        ("1.1", "Expect: 100-continue, 200-ok\r\n", Err(HttpError::ExpectationUnknown)),
        ("1.1", "Expect: 100-continue;a=b\r\n", Err(HttpError::ExpectationUnknown)),
        ("1.0", "Expect: 100-continue\r\n", Ok(false)),
        ("1.0", "Expect: 200-ok\r\n", Ok(false)),
    ];
    for (version, lines, expected) in table {
        let found =
            with_request(&post(version, lines), |request| request.map(|request| request.expects_continue()));
        assert_eq!(found, expected, "{version} {lines:?}");
    }
}

#[test]
fn lists() {
    let head =
        post("1.1", "Upgrade: h2c, WebSocket\r\nConnection: keep-alive\r\nConnection:\tUPGRADE\t,a b\r\n");
    with_sound_request(&head, |request| {
        let table = [
            ("upgrade", "websocket", true),
            ("Upgrade", "H2C", true),
            ("upgrade", "socket", false),
            ("connection", "upgrade", true),
            ("connection", "Keep-Alive", true),
            ("connection", "a", false),
            ("missing", "upgrade", false),
        ];
        for (name, token, expected) in table {
            assert_eq!(request.list_contains(name, token), expected, "{name} {token}");
        }
    });
}

#[test]
fn cookies() {
    let head = post("1.1", "Cookie: a=1; JSESSIONID=abc=d; b;c=\"q\"; =e\r\nCookie:A=2;a=3 ; d =4; f=\r\n");
    with_sound_request(&head, |request| {
        let table: [(&str, Option<&str>); 10] = [
            ("a", Some("1")),
            ("A", Some("2")),
            ("JSESSIONID", Some("abc=d")),
            ("jsessionid", None),
            ("JSESSION", None),
            ("b", None),
            ("c", Some("\"q\"")),
            ("d", None),
            ("f", Some("")),
            ("g", None),
        ];
        for (name, expected) in table {
            assert_eq!(request.cookie(name), expected.map(str::as_bytes), "{name}");
        }
    });
}

#[test]
fn query_parameters() {
    let parameter = |query: &str, name: &str| {
        with_sound_request(&format!("GET /a{query} HTTP/1.1\r\nHost: a\r\n\r\n"), |request| {
            request.query_parameter(name).map(str::to_owned)
        })
    };
    let table = [
        ("", "c", None),
        ("?", "c", None),
        ("?c=x", "c", Some("x")),
        ("?t=1&c=x&c=y", "c", Some("x")),
        ("?cc=x&ac=y", "c", None),
        ("?C=x", "c", None),
        ("?c", "c", Some("")),
        ("?c=", "c", Some("")),
        ("?c=a=b", "c", Some("a=b")),
        ("?c=cb%0a+", "c", Some("cb%0a+")),
        ("?&&c=x&", "c", Some("x")),
    ];
    for (query, name, expected) in table {
        assert_eq!(parameter(query, name).as_deref(), expected, "{query}");
    }
}

#[test]
fn what_is_not_one_head_is_refused() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let inputs = [&head[..head.len() - 1], "", "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"];
    for input in inputs {
        let mut storage = HeaderStorage::new();
        let found = Request::parse(input.as_bytes(), &mut storage, &LIMITS).err();
        assert_eq!(found, Some(HttpError::HeadBoundary), "{input:?}");
    }
    // Of a head that no scanner has measured.
    let mut storage = HeaderStorage::new();
    let found = Request::parse(b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", &mut storage, &LIMITS).err();
    assert_eq!(found, Some(HttpError::ControlByte));
}

#[test]
fn the_number_of_fields_is_limited() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
    for (header_count, expected) in [(2, None), (1, Some(HttpError::TooManyFields)), (usize::MAX, None)] {
        let mut storage = HeaderStorage::new();
        let limits = HeadLimits { header_count, ..LIMITS };
        assert_eq!(Request::parse(head.as_bytes(), &mut storage, &limits).err(), expected);
    }
}

/// Whatever the bytes, scanned or not: a value or an error, never a panic.
#[test]
fn random_heads_never_panic() {
    let mut random = Random(0xfeed);
    let pieces: [&[u8]; 20] = [
        b"GET ",
        b"/a?b ",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/9.9",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"Host: ",
        b"a",
        b": ",
        b",",
        b"chunked",
        b"Transfer-Encoding: ",
        b"Content-Length: 5",
        b"http://",
        b"[::1]",
        b"\xff",
        b"\n",
        b"\0",
    ];
    let mut sound = 0;
    for _ in 0..20_000 {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n"[..if random.below(2) == 0 { 0 } else { 25 }].to_vec();
        for _ in 0..random.below(8) {
            head.extend_from_slice(pieces[random.below(pieces.len())]);
        }
        let mut storage = HeaderStorage::new();
        if let Ok(request) = Request::parse(&head, &mut storage, &LIMITS) {
            sound += 1;
            assert!(request.headers().count() >= usize::from(request.version() == Version::Http11));
            assert!(matches!(request.path().as_bytes(), [b'/', ..] | [] | [b'*']));
        }
    }
    assert!(sound > 100, "only {sound} heads were sound");
}
