//! The request head (RFC 9112 §2–§6, RFC 9110 §5): cut anywhere it has one length and one meaning, or one error; and
//! what is let through could not be read in another way by another parser.

use sockjs_server::http::{
    Framing, HeadLimits, HeadScanner, HeaderStorage, HttpError, MAX_HEADERS, Request, Version,
};

use super::{Input, cuttings};

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let seed = input.byte();
    let limits = match seed & 3 {
        0 => HeadLimits { request_line: 64, header_section: 128, header_count: 4 },
        _ => HeadLimits { request_line: 8 << 10, header_section: 16 << 10, header_count: MAX_HEADERS },
    };
    let bytes = input.rest();
    let [whole, cut @ ..] = cuttings(bytes.len(), seed).map(|ends| scan(bytes, &ends, &limits));
    for outcome in cut {
        assert_eq!(outcome, whole, "the same head, cut elsewhere");
    }
    let Ok(Some(length)) = whole else { return };
    let head = &bytes[..length];
    assert!(head.ends_with(b"\r\n\r\n"));
    assert_eq!(scan(head, &[length], &limits), whole, "without what follows the head");
    let mut storage = HeaderStorage::new();
    if let Ok(request) = Request::parse(head, &mut storage, &limits) {
        check_request(head, &request);
    }
}

/// Feeds the scanner a buffer that grows, until it knows.
fn scan(bytes: &[u8], ends: &[usize], limits: &HeadLimits) -> Result<Option<usize>, HttpError> {
    let mut scanner = HeadScanner::default();
    for &end in ends {
        match scanner.scan(&bytes[..end], limits) {
            Ok(None) => {}
            known => return known,
        }
    }
    Ok(None)
}

fn check_request(head: &[u8], request: &Request<'_, '_>) {
    let path = request.path();
    assert!(
        path.starts_with('/') || path == "*" || (path.is_empty() && request.method().as_str() == "CONNECT")
    );
    assert!(request.target().bytes().all(|byte| byte.is_ascii_graphic()));
    for (name, value) in request.headers() {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !b":,;\"()".contains(&byte)), "{name:?}");
        assert!(value.iter().all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f)), "{value:?}");
    }
    check_framing(&fields(head), request);
}

/// The fields as the simplest reader would see them.
fn fields(head: &[u8]) -> Vec<(String, String)> {
    let text = head.iter().map(|byte| char::from(*byte)).collect::<String>();
    let lines = text.trim_start_matches("\r\n").split("\r\n").skip(1).take_while(|line| !line.is_empty());
    let field = |line: &str| {
        let (name, value) = line.split_once(':').expect("every line is a field");
        (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
    };
    lines.map(field).collect()
}

/// PROTOCOL: anything by which two parsers could disagree is refused (RFC 9112 §6.3, §3.2, §5.1).
fn check_framing(fields: &[(String, String)], request: &Request<'_, '_>) {
    assert_eq!(fields.len(), request.headers().count());
    let values = |wanted: &'static str| {
        fields.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    let lengths: Vec<_> = values("content-length").collect();
    let codings: Vec<_> = values("transfer-encoding").collect();
    match request.framing() {
        Framing::None => assert!(lengths.is_empty() && codings.is_empty()),
        Framing::Length(length) => {
            assert!(codings.is_empty() && lengths.len() == 1);
            assert!(lengths[0].bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(lengths[0].parse(), Ok(length));
        }
        Framing::Chunked => {
            assert!(lengths.is_empty() && request.version() == Version::Http11);
            let last = codings.last().and_then(|codings| codings.rsplit(',').next()).unwrap_or_default();
            assert!(last.trim_matches([' ', '\t']).eq_ignore_ascii_case("chunked"), "{codings:?}");
        }
    }
    let hosts = values("host").count();
    assert!(hosts == 1 || (hosts == 0 && request.version() == Version::Http10));
    assert!(fields.iter().all(|(name, _)| !name.is_empty() && !name.contains([' ', '\t'])));
}
