//! The client's side of HTTP/1.1: a response's head, and where its body ends. Pure: bytes in, values out.

/// The largest head of a response that is read.
const LARGEST_HEAD: usize = 64 << 10;

/// The longest line of a chunk's size, extensions included.
const LONGEST_LINE: usize = 4096;

/// The server does not speak HTTP as RFC 9112 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotHttp;

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Takes a head from the front of the input; `None`: it is not whole.
    pub(super) fn take(input: &mut Vec<u8>) -> Result<Option<Self>, NotHttp> {
        // What is no HTTP is told at once: it may never have an empty line.
        let start = b"HTTP/1.";
        if input.iter().zip(start).any(|(byte, expected)| byte != expected) {
            return Err(NotHttp);
        }
        let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if input.len() > LARGEST_HEAD { Err(NotHttp) } else { Ok(None) };
        };
        let head: Vec<u8> = input.drain(..end + 4).collect();
        Self::parse(&String::from_utf8_lossy(&head)).map(Some)
    }

    fn parse(text: &str) -> Result<Self, NotHttp> {
        let mut lines = text.split("\r\n");
        let status_line = lines.next().ok_or(NotHttp)?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let fields = lines.take_while(|line| !line.is_empty()).map(|line| {
            let (name, value) = line.split_once(':').ok_or(NotHttp)?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Ok(Self { status: status.ok_or(NotHttp)?, fields: fields.collect::<Result<_, _>>()? })
    }

    /// The values of a field; its name is in lower case.
    pub(super) fn values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| &**value)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Where the body ends (RFC 9112 §6.3).
    pub(super) fn body(&self) -> Result<Body, NotHttp> {
        if matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Body::Done);
        }
        if let Some(coding) = self.value("transfer-encoding") {
            return if coding.eq_ignore_ascii_case("chunked") { Ok(Body::Size) } else { Err(NotHttp) };
        }
        match self.value("content-length") {
            Some(length) => Ok(Body::Rest(length.parse().map_err(|_| NotHttp)?)),
            None => Ok(Body::UntilEnd),
        }
    }
}

/// What follows of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Rest(u64),
    /// Everything up to the end of the connection.
    UntilEnd,
    /// The line of a chunk's size.
    Size,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk's bytes.
    ChunkEnd,
    /// Trailers, up to an empty line.
    Trailers,
    Done,
}

impl Body {
    pub(super) fn is_done(self) -> bool {
        matches!(self, Body::Done | Body::Rest(0))
    }

    /// Whether the body is whole if the connection ends here.
    pub(super) fn may_end(self) -> bool {
        self.is_done() || self == Body::UntilEnd
    }

    /// Moves what is of the body from the input to the output.
    pub(super) fn decode(&mut self, input: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<(), NotHttp> {
        loop {
            match *self {
                Body::Done => return Ok(()),
                Body::UntilEnd => {
                    output.append(input);
                    return Ok(());
                }
                Body::Rest(rest) => {
                    *self = Body::Rest(rest - pass(rest, input, output));
                    return Ok(());
                }
                Body::Chunk(rest) => match rest - pass(rest, input, output) {
                    0 => *self = Body::ChunkEnd,
                    rest => {
                        *self = Body::Chunk(rest);
                        return Ok(());
                    }
                },
                Body::Size | Body::ChunkEnd | Body::Trailers => match take_line(input)? {
                    Some(line) => *self = self.after(&line)?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// What follows a line of the framing.
    fn after(self, line: &str) -> Result<Self, NotHttp> {
        match self {
            Body::ChunkEnd if line.is_empty() => Ok(Body::Size),
            Body::ChunkEnd => Err(NotHttp),
            Body::Size => {
                let size = line.split(';').next().unwrap_or_default().trim();
                match u64::from_str_radix(size, 16) {
                    Ok(0) => Ok(Body::Trailers),
                    Ok(size) => Ok(Body::Chunk(size)),
                    Err(_) => Err(NotHttp),
                }
            }
            Body::Trailers if line.is_empty() => Ok(Body::Done),
            other => Ok(other),
        }
    }
}

/// Moves so many bytes at most, and says how many there were.
fn pass(most: u64, input: &mut Vec<u8>, output: &mut Vec<u8>) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    output.extend(input.drain(..count));
    count as u64
}

/// Takes a line of the framing, without its end.
fn take_line(input: &mut Vec<u8>) -> Result<Option<String>, NotHttp> {
    let Some(end) = input.windows(2).position(|window| window == b"\r\n") else {
        return if input.len() > LONGEST_LINE { Err(NotHttp) } else { Ok(None) };
    };
    let line: Vec<u8> = input.drain(..end + 2).take(end).collect();
    String::from_utf8(line).map(Some).map_err(|_| NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a response whole, or byte by byte, and says its status, its body, and what follows.
    fn read(bytes: &[u8], piece: usize) -> Result<(u16, Vec<u8>, Body), NotHttp> {
        let (mut input, mut output, mut head, mut body) = (Vec::new(), Vec::new(), None, Body::Done);
        for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            if head.is_none() {
                head = Head::take(&mut input)?;
                match &head {
                    Some(head) => body = head.body()?,
                    None => continue,
                }
            }
            body.decode(&mut input, &mut output)?;
        }
        Ok((head.expect("a head").status, output, body))
    }

    #[test]
    fn bodies_end_where_their_heads_say() {
        for (bytes, status, body, end) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", Body::Rest(0)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 200, "ok", Body::Rest(1)),
            ("HTTP/1.0 200 OK\r\n\r\nok", 200, "ok", Body::UntilEnd),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", Body::Done),
            ("HTTP/1.1 404\r\ncontent-length:0\r\n\r\n", 404, "", Body::Rest(0)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", Body::Size),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\no\n\r\n1\r\nk\r\n0\r\nT: r\r\n\r\n",
                200,
                "o\nk",
                Body::Done,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nab", 200, "ab", Body::Chunk(8)),
        ] {
            for piece in [bytes.len(), 1] {
                let expected = Ok((status, body.as_bytes().to_vec(), end));
                assert_eq!(read(bytes.as_bytes(), piece), expected, "{bytes:?}");
            }
        }
        assert!(Body::Rest(0).is_done() && Body::Done.may_end() && Body::UntilEnd.may_end());
        assert!(!Body::Size.may_end() && !Body::Rest(1).may_end() && !Body::UntilEnd.is_done());
    }

    #[test]
    fn what_is_not_http_is_told() {
        for bytes in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            for piece in [bytes.len(), 1] {
                assert_eq!(read(bytes.as_bytes(), piece), Err(NotHttp), "{bytes:?}");
            }
        }
        let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &[b'a'; LARGEST_HEAD]].concat();
        assert_eq!(Head::take(&mut endless.clone()), Err(NotHttp));
        let mut body = Body::Size;
        assert_eq!(body.decode(&mut vec![b'1'; LONGEST_LINE + 1], &mut Vec::new()), Err(NotHttp));
    }

    #[test]
    fn fields_are_found_in_any_case() {
        let mut input =
            b"HTTP/1.1 301 Moved\r\nLocation:  https://h/ \r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nrest"
                .to_vec();
        let head = Head::take(&mut input).expect("HTTP").expect("whole");
        assert_eq!((head.value("location"), head.value("date")), (Some("https://h/"), None));
        assert_eq!(head.values("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(input, b"rest");
    }
}
