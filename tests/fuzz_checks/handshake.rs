//! The opening handshake (RFC 6455 §4.2): an offer is accepted exactly when each of its parts is as it must
//! be, and nothing of it is echoed.

use sockjs_server::websocket::handshake::{Offer, SUPPORTED_VERSIONS, accept, is_subprotocol_token};

use super::Input;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let flag = |bit: u8| flags & 1 << bit != 0;
    let version = input.short();
    let key = input.rest();
    let offer = Offer {
        upgrade: flag(0),
        connection: flag(1),
        hixie: flag(2),
        version: flag(3).then_some(version),
        key: flag(4).then_some(key),
        key_count: usize::from(flag(4)) + usize::from(flag(4) && flag(5)),
    };
    let speaks = SUPPORTED_VERSIONS.split(", ").any(|known| known.as_bytes() == version);
    let good = flag(0) && flag(1) && !flag(2) && flag(3) && flag(4) && !flag(5) && speaks && is_key(key);
    match accept(&offer) {
        Ok(answer) => {
            assert!(good);
            assert!(is_base64(&answer.as_str().as_bytes()[..27]) && answer.as_str().ends_with('='));
        }
        Err(error) => {
            assert!(!good);
            assert!([400, 426].contains(&error.status()) && !error.body().is_empty());
            let asks_for_version = flag(0) && flag(1) && !flag(2) && flag(3) && !speaks;
            assert_eq!(error.status() == 426, asks_for_version);
        }
    }
    let is_token = !key.is_empty()
        && key.iter().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte));
    assert_eq!(is_subprotocol_token(key), is_token);
}

/// 16 bytes in base64: 22 characters and two of padding.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24 && is_base64(&key[..22]) && key[22..] == *b"=="
}

fn is_base64(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}
