//! HTTP responses, read from the client's side as they come: bytes go in, parts come out.

use super::frames::Malformed;

/// Reads responses that follow each other on one connection.
#[derive(Default)]
pub(super) struct Responses {
    unread: Vec<u8>,
    within: Within,
}

/// Where in a response the next byte is.
#[derive(Clone, Copy, Default)]
enum Within {
    #[default]
    Head,
    /// So many bytes of the body follow.
    Body(usize),
    Chunks,
    /// Everything behind an upgrade.
    Upgraded,
}

/// A part of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Status(u16),
    Body(Vec<u8>),
    End,
}

impl Responses {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next part. `None`: it has not come.
    pub(super) fn next(&mut self) -> Result<Option<Part>, Malformed> {
        match self.within {
            Within::Head => self.head(),
            Within::Body(0) => {
                self.within = Within::Head;
                Ok(Some(Part::End))
            }
            Within::Body(length) => {
                let count = length.min(self.unread.len());
                self.within = Within::Body(length - count);
                Ok(self.take(count).filter(|bytes| !bytes.is_empty()).map(Part::Body))
            }
            Within::Chunks => self.chunk(),
            Within::Upgraded => {
                let bytes = std::mem::take(&mut self.unread);
                Ok((!bytes.is_empty()).then_some(Part::Body(bytes)))
            }
        }
    }

    fn head(&mut self) -> Result<Option<Part>, Malformed> {
        let Some(end) = self.position(b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8(self.take(end + 4).unwrap_or_default()).map_err(|_| Malformed)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(Malformed)?;
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        self.within = match status {
            // An interim response has neither a body nor an end.
            100 => Within::Head,
            101 => Within::Upgraded,
            204 | 304 => Within::Body(0),
            _ if field("Transfer-Encoding: ").is_some() => Within::Chunks,
            _ => {
                let length = field("Content-Length: ").and_then(|length| length.parse().ok());
                Within::Body(length.ok_or(Malformed)?)
            }
        };
        Ok(Some(Part::Status(status)))
    }

    fn chunk(&mut self) -> Result<Option<Part>, Malformed> {
        let Some(end) = self.position(b"\r\n") else { return Ok(None) };
        let size = self.unread.get(..end).and_then(|size| std::str::from_utf8(size).ok());
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).ok_or(Malformed)?;
        let whole = size.checked_add(end + 4).ok_or(Malformed)?;
        let Some(mut chunk) = self.take(whole) else { return Ok(None) };
        if size == 0 {
            self.within = Within::Head;
            return Ok(Some(Part::End));
        }
        chunk.truncate(whole - 2);
        Ok(Some(Part::Body(chunk.split_off(end + 2))))
    }

    fn position(&self, mark: &[u8]) -> Option<usize> {
        self.unread.windows(mark.len()).position(|window| window == mark)
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        (count <= self.unread.len()).then(|| self.unread.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_the_same_however_they_are_cut() {
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\
            Content-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n\
            1\r\ne\r\n0\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\nfg";
        for size in 1..=wire.len() {
            let (mut responses, mut told, mut body) = (Responses::default(), Vec::new(), Vec::new());
            for piece in wire.chunks(size) {
                responses.push(piece);
                while let Some(part) = responses.next().unwrap() {
                    match part {
                        Part::Status(status) => told.push(status),
                        Part::Body(bytes) => body.extend(bytes),
                        Part::End => told.push(0),
                    }
                }
            }
            assert_eq!(told, [100, 204, 0, 200, 0, 200, 0, 101], "{size}");
            assert_eq!(body, b"abcdefg", "{size}");
        }
        let mut responses = Responses::default();
        responses.push(b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(responses.next().is_err(), "a response says where it ends");
    }
}
