//! Requests by which two parsers could disagree (RFC 9112 §2 to §7), rule by rule. Conformance holds each table against
//! any server; `http/refusals` holds all of them against ours, and looks at what the server made of them.
//!
//! `PATH` and `HOST` stand for those of the server under test.

/// A name, and the lines of it.
pub type Row = (&'static str, &'static str);

/// Two framings at once, as fields behind `Host`.
pub const BOTH_LENGTHS: [Row; 3] = [
    ("chunked and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("a length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("a length of nothing and chunked", "Content-Length: 0\r\ntransfer-encoding:chunked"),
];

/// Lengths that are none, as fields behind `Host`.
pub const LENGTHS: [Row; 15] = [
    ("differing lengths", "Content-Length: 5\r\nContent-Length: 6"),
    ("a length twice", "Content-Length: 5\r\ncontent-length: 5"),
    ("a list of lengths", "Content-Length: 5, 5"),
    ("a list of differing lengths", "Content-Length: 1, 2"),
    ("a length with a sign", "Content-Length: +5"),
    ("a negative length", "Content-Length: -5"),
    ("a length in hexadecimal", "Content-Length: 0x5"),
    ("a length with a fraction", "Content-Length: 5.0"),
    ("two numbers", "Content-Length: 5 5"),
    ("a word", "Content-Length: a"),
    ("no length", "Content-Length:"),
    ("a length of white space", "Content-Length:  "),
    ("a length that wraps 64 bits", "Content-Length: 18446744073709551621"),
    ("a length that wraps to one", "Content-Length: 18446744073709551617"),
    ("a length far beyond", "Content-Length: 999999999999999999999999999999"),
];

/// Transfer codings whose last is not exactly `chunked`, as fields behind `Host`.
pub const CODINGS: [Row; 13] = [
    ("chunked not last", "Transfer-Encoding: chunked, gzip"),
    ("identity behind chunked", "Transfer-Encoding: chunked, identity"),
    ("chunked twice", "Transfer-Encoding: chunked, chunked"),
    ("chunked twice in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("identity in another field", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ("not chunked at all", "Transfer-Encoding: identity"),
    ("chunked with a parameter", "Transfer-Encoding: chunked;a=b"),
    ("chunked with a quality", "Transfer-Encoding: chunked;q=1"),
    ("chunked in quotes", "Transfer-Encoding: \"chunked\""),
    ("something like chunked", "Transfer-Encoding: xchunked"),
    ("a coding of nothing", "Transfer-Encoding:"),
    ("an empty last coding", "Transfer-Encoding: chunked,"),
    ("a vertical tab before chunked", "Transfer-Encoding: \x0bchunked"),
];

/// No `Host`, several, and values that are none.
pub const HOSTS: [Row; 14] = [
    ("no Host", "A: b"),
    ("two Hosts", "Host: a\r\nHost: b"),
    ("the same Host twice", "Host: a\r\nhost: a"),
    ("an empty Host", "Host:"),
    ("a Host that is a port", "Host: :80"),
    ("a Host with a path", "Host: a/b"),
    ("a Host with user information", "Host: user@a"),
    ("a Host with white space", "Host: a b"),
    ("a list of Hosts", "Host: a, b"),
    ("a Host with a bad port", "Host: a:8o"),
    ("a Host with a word for a port", "Host: a:b"),
    ("a Host with two ports", "Host: a:80:80"),
    ("a Host with a broken bracket", "Host: [::1"),
    ("a Host beyond ASCII", "Host: b\u{fc}cher.example"),
];

/// Lines that are no fields.
pub const FIELDS: [Row; 26] = [
    ("white space before the colon", "Host: HOST\r\nContent-Length : 5"),
    ("a tab before the colon", "Host: HOST\r\nContent-Length\t: 5"),
    ("a folded field", "Host: HOST\r\nA: b\r\n c"),
    ("a field folded by a tab", "Host: HOST\r\nA: b\r\n\tc"),
    ("white space before the first field", " Host: HOST"),
    ("white space before a field", "Host: HOST\r\n A: b"),
    ("a field without colon", "Host: HOST\r\nA"),
    ("a field without name", "Host: HOST\r\n: b"),
    ("a name with a space in it", "Host: HOST\r\nA B: c"),
    ("a name with a control byte", "Host: HOST\r\nA\x01: b"),
    ("a name beyond ASCII", "Host: HOST\r\n\u{e9}: b"),
    ("a name with a separator", "Host: HOST\r\nA(b): c"),
    ("a name that ends with a separator", "Host: HOST\r\nA(: b"),
    ("NUL in a value", "Host: HOST\r\nA: b\0c"),
    ("a control byte in a value", "Host: HOST\r\nA: b\x1bc"),
    ("a value of a control byte", "Host: HOST\r\nA: \x01"),
    ("DEL in a value", "Host: HOST\r\nA: b\x7fc"),
    ("a value of DEL", "Host: HOST\r\nA: \x7f"),
    ("a bare CR in a value", "Host: HOST\r\nA: b\rc"),
    ("a bare CR before a field", "Host: HOST\r\nA: b\rC: d"),
    ("a bare CR between fields", "Host: HOST\rA: b"),
    ("a bare LF between fields", "Host: HOST\nA: b"),
    ("a bare LF hiding a field", "Host: HOST\r\nA: b\nContent-Length: 5"),
    ("CR CR LF", "Host: HOST\r\r\nA: b"),
    ("CR CR LF behind the last field", "Host: HOST\r\nA: b\r"),
    ("LF CR", "Host: HOST\n\rA: b"),
];

/// Request lines that are none.
pub const REQUEST_LINES: [Row; 26] = [
    ("no version", "GET PATH"),
    ("no target", "GET HTTP/1.1"),
    ("no method", "PATH HTTP/1.1"),
    ("two spaces", "GET  PATH HTTP/1.1"),
    ("a space in the target", "GET PATH a HTTP/1.1"),
    ("a tab", "GET\tPATH HTTP/1.1"),
    ("a space behind", "GET PATH HTTP/1.1 "),
    ("a space before", " GET PATH HTTP/1.1"),
    ("a method of no token", "G(T PATH HTTP/1.1"),
    ("a version without dot", "GET PATH HTTP/11"),
    ("a version of three digits", "GET PATH HTTP/1.10"),
    ("a version of a letter", "GET PATH HTTP/1.x"),
    ("a version in lower case", "GET PATH http/1.1"),
    ("another protocol", "GET PATH ICAP/1.1"),
    ("a bare CR", "GET PATH\ra HTTP/1.1"),
    ("a bare LF", "GET PATH HTTP/1.1\nA: b"),
    ("NUL", "GET PATH\0a HTTP/1.1"),
    ("NUL at the end", "GET PATH\0 HTTP/1.1"),
    ("DEL", "GET PATH\x7fa HTTP/1.1"),
    ("a byte beyond ASCII", "GET PATH\u{e9} HTTP/1.1"),
    ("a fragment", "GET PATH#there HTTP/1.1"),
    ("a path without slash", "GET echo HTTP/1.1"),
    ("an authority", "GET localhost:80 HTTP/1.1"),
    ("the asterisk for GET", "GET * HTTP/1.1"),
    ("user information", "GET http://user@localhostPATH HTTP/1.1"),
    ("no line at all", "PATH"),
];

/// Chunked bodies that are none (RFC 9112 §7.1), behind a head that says `chunked`.
pub const CHUNKS: [Row; 32] = [
    ("no size", "\r\n"),
    ("a size with a sign", "+5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a negative size", "-5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size with an underscore", "0_5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("no hexadecimal", "g\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("no hexadecimal, and no data", "x\r\n"),
    ("white space before", " 5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("white space behind", "5 \r\n[\"x\"]\r\n0\r\n\r\n"),
    ("white space and a bare LF behind", "5 \n[\"x\"]\r\n0\r\n\r\n"),
    ("a comma", "5,\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size of 17 digits", "00000000000000005\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size of 17 large digits", "fffffffffffffffff\r\n"),
    ("a size that wraps 64 bits", "10000000000000005\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a bare LF behind the size", "5\n[\"x\"]\r\n0\r\n\r\n"),
    ("bare LFs everywhere", "5\n[\"x\"]\n0\n\n"),
    ("a bare CR behind the size", "5\r[\"x\"]\r\n0\r\n\r\n"),
    ("NUL behind the size", "5\0\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a bare LF behind the data", "5\r\n[\"x\"]\n0\r\n\r\n"),
    ("no line end behind the data", "5\r\n[\"x\"]0\r\n\r\n"),
    ("more data than said", "4\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a letter more than said", "5\r\n[\"x\"]x\r\n0\r\n\r\n"),
    ("an extension without name", "5;\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("an extension with a bare LF", "5;a\nb\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("an extension with a bare CR", "5;a\rb\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a line end in a quoted string", "5;a=\"\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a control byte in an extension", "5;a=\x01\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a trailer without colon", "5\r\n[\"x\"]\r\n0\r\nA\r\n\r\n"),
    ("a trailer with white space before the colon", "5\r\n[\"x\"]\r\n0\r\nA : b\r\n\r\n"),
    ("a folded trailer", "5\r\n[\"x\"]\r\n0\r\nA: b\r\n c\r\n\r\n"),
    ("a control byte in a trailer", "5\r\n[\"x\"]\r\n0\r\nA: \0\r\n\r\n"),
    ("a bare LF for the end", "5\r\n[\"x\"]\r\n0\r\n\n"),
];
