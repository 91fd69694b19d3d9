//! What an endpoint says about itself at `/info` (protocol, section 3).
//!
//! In go an endpoint's options and a random number; out comes the JSON document, byte for byte.

use std::io::Write;

use super::json;

/// What `/info` says.
#[derive(Clone, Copy, Debug)]
pub struct Info<'a> {
    /// Whether clients may use WebSocket.
    pub websocket: bool,
    /// Whether a load balancer needs a cookie: clients then choose transports that send one.
    pub cookie_needed: bool,
    /// An unpredictable number, new each time: some browsers have no good source of their own.
    pub entropy: u32,
    /// Where clients go from here on, if not where they asked.
    pub base_url: Option<&'a str>,
}

/// Appends the document.
pub fn write_info(out: &mut Vec<u8>, info: &Info<'_>) {
    let Info { websocket, cookie_needed, entropy, base_url } = info;
    // Writing to a `Vec` does not fail.
    let _ = write!(
        out,
        r#"{{"websocket":{websocket},"origins":["*:*"],"cookie_needed":{cookie_needed},"entropy":{entropy}"#
    );
    if let Some(url) = base_url {
        out.extend_from_slice(br#","base_url":"#);
        json::write_string(out, url);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_byte_for_byte() {
        let plain = Info { websocket: true, cookie_needed: false, entropy: 3_262_611_123, base_url: None };
        let cases = [
            (plain, r#"{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":3262611123}"#),
            (
                Info { websocket: false, cookie_needed: true, entropy: 0, ..plain },
                r#"{"websocket":false,"origins":["*:*"],"cookie_needed":true,"entropy":0}"#,
            ),
            (
                Info { entropy: u32::MAX, base_url: Some("https://a.example/\"echo\""), ..plain },
                concat!(
                    r#"{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":4294967295,"#,
                    r#""base_url":"https://a.example/\"echo\""}"#
                ),
            ),
        ];
        for (info, expected) in cases {
            let mut out = Vec::new();
            write_info(&mut out, &info);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
