//! SockJS frames, and how the HTTP transports wrap them. Pure: text in, frames out.

use crate::json::Json;

/// The callback that htmlfile and jsonp-polling are asked for.
pub(super) const CALLBACK: &str = "check";

/// A frame from the server (section 5 of the wire contract).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Open,
    Heartbeat,
    Messages(Vec<String>),
    Close { code: u16, reason: String },
}

impl Frame {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut json = Json::new(text.get(1..)?);
        let frame = match text.chars().next()? {
            'o' => Frame::Open,
            'h' => Frame::Heartbeat,
            'a' => Frame::Messages(json.strings()?),
            // Old servers send single messages in frames of their own.
            'm' => Frame::Messages(vec![json.string()?]),
            'c' => {
                let code = json.take("[").then(|| json.natural())??;
                let reason = json.take(",").then(|| json.string())??;
                json.take("]").then_some(Frame::Close { code, reason })?
            }
            _ => return None,
        };
        json.is_at_end().then_some(frame)
    }
}

/// How the body of a response holds frames: a line for each, with something around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// xhr-streaming and xhr-polling.
    Bare,
    EventSource,
    HtmlFile,
    Jsonp,
}

/// A line of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Frame(Frame),
    /// A prelude, or a part of what surrounds the frames.
    Other,
    /// A line that does not belong there.
    Malformed,
}

impl Wrapping {
    /// Reads a line without its end.
    pub(super) fn read(self, line: &str) -> Line {
        let line = line.trim_end_matches(['\r', '\n']);
        let text = match self {
            // The prelude of xhr-streaming is 2048 times an `h`.
            Wrapping::Bare if line.is_empty() || line.len() > 1 && line.bytes().all(|byte| byte == b'h') => {
                return Line::Other;
            }
            Wrapping::Bare => Some(line.to_owned()),
            Wrapping::EventSource => match line.strip_prefix("data:") {
                Some(data) => percent_decode(data.strip_prefix(' ').unwrap_or(data)),
                None => return Line::Other,
            },
            Wrapping::HtmlFile => match line.trim().strip_prefix("p(") {
                Some(call) => argument(call),
                None => return Line::Other,
            },
            Wrapping::Jsonp if line.is_empty() => return Line::Other,
            Wrapping::Jsonp => {
                let call = line.strip_prefix("/**/").unwrap_or(line).strip_prefix(CALLBACK);
                call.and_then(|call| call.strip_prefix('(')).and_then(argument)
            }
        };
        text.as_deref().and_then(Frame::parse).map_or(Line::Malformed, Line::Frame)
    }
}

/// The string in a call of a function, behind its parenthesis.
fn argument(call: &str) -> Option<String> {
    let mut json = Json::new(call);
    let text = json.string()?;
    (json.take(")") && json.take(";") && json.is_at_end()).then_some(text)
}

/// What `sockjs-client` makes of an event's data by `unescape`. (Its `%uXXXX` is no server's.)
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (code, part.get(2..)) {
            (Some(code), Some(rest)) => {
                bytes.push(code);
                bytes.extend_from_slice(rest.as_bytes());
            }
            // A percent sign of a server that does not escape them.
            _ => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// What `/info` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) websocket: bool,
    /// Where everything else is.
    pub(super) base_url: Option<String>,
}

impl Info {
    /// `None`: it is not what a SockJS server says.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut json = Json::new(text);
        let (mut websocket, mut base_url) = (None, None);
        json.members(|name, value| match name {
            "websocket" => {
                websocket = Some(value.take("true"));
                if websocket == Some(true) || value.take("false") { Some(()) } else { None }
            }
            "base_url" if !value.take("null") => {
                base_url = Some(value.string()?);
                Some(())
            }
            "base_url" => Some(()),
            _ => value.skip(),
        })?;
        json.is_at_end().then_some(Self { websocket: websocket?, base_url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(texts: &[&str]) -> Frame {
        Frame::Messages(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn frames_are_those_of_the_contract() {
        let close = Frame::Close { code: 3000, reason: "Go away!".to_owned() };
        for (text, frame) in [
            ("o", Some(Frame::Open)),
            ("h", Some(Frame::Heartbeat)),
            (r#"a["a","b\u2028"]"#, Some(messages(&["a", "b\u{2028}"]))),
            ("a[]", Some(messages(&[]))),
            (r#"m"a""#, Some(messages(&["a"]))),
            (r#"c[3000,"Go away!"]"#, Some(close)),
            ("", None),
            ("x", None),
            ("ü", None),
            ("oo", None),
            ("a", None),
            (r#"a["a""#, None),
            (r#"a["a"]x"#, None),
            ("c[3000]", None),
            (r#"c["3000","x"]"#, None),
            ("<html>", None),
        ] {
            assert_eq!(Frame::parse(text), frame, "{text}");
        }
    }

    #[test]
    fn each_transport_wraps_frames_in_its_own_way() {
        let frame = || Line::Frame(messages(&["\"é"]));
        for (wrapping, line, expected) in [
            (Wrapping::Bare, "a[\"\\\"é\"]\n", frame()),
            (Wrapping::Bare, "h\n", Line::Frame(Frame::Heartbeat)),
            (Wrapping::Bare, &"h".repeat(2048), Line::Other),
            (Wrapping::Bare, "", Line::Other),
            (Wrapping::Bare, "<html>", Line::Malformed),
            (Wrapping::EventSource, "data: a[\"\\\"é\"]\r", frame()),
            (Wrapping::EventSource, "data:a[\"%5C%22é\"]", frame()),
            (Wrapping::EventSource, "data: a[\"100%\"]", Line::Frame(messages(&["100%"]))),
            (Wrapping::EventSource, "\r", Line::Other),
            (Wrapping::EventSource, ": comment", Line::Other),
            (Wrapping::EventSource, "data: x", Line::Malformed),
            (Wrapping::HtmlFile, r#"p("a[\"\\\"é\"]");"#, frame()),
            (Wrapping::HtmlFile, "    function p(d) {c.message(d);};", Line::Other),
            (Wrapping::HtmlFile, "</script>\r", Line::Other),
            (Wrapping::HtmlFile, "p(x);", Line::Malformed),
            (Wrapping::Jsonp, "/**/check(\"a[\\\"\\\\\\\"é\\\"]\");\r", frame()),
            (Wrapping::Jsonp, "check(\"o\");", Line::Frame(Frame::Open)),
            (Wrapping::Jsonp, "other(\"o\");", Line::Malformed),
            (Wrapping::Jsonp, "check(\"o\"", Line::Malformed),
            (Wrapping::Jsonp, "", Line::Other),
        ] {
            assert_eq!(wrapping.read(line), expected, "{wrapping:?} {line}");
        }
    }

    #[test]
    fn info_says_whether_there_are_websockets() {
        let info = |websocket, base_url: Option<&str>| {
            Some(Info { websocket, base_url: base_url.map(str::to_owned) })
        };
        for (text, expected) in [
            (
                r#"{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":3262611123}"#,
                info(true, None),
            ),
            (
                r#"{ "entropy": 1, "websocket" : false, "base_url": "http://h/echo" }"#,
                info(false, Some("http://h/echo")),
            ),
            (r#"{"websocket":true,"base_url":null}"#, info(true, None)),
            (r#"{"websocket":1}"#, None),
            ("{}", None),
            ("Welcome to SockJS!\n", None),
            (r#"{"websocket":true"#, None),
        ] {
            assert_eq!(Info::parse(text), expected, "{text}");
        }
    }
}
