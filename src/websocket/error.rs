//! What a client can do wrong once it speaks WebSocket, and the close code that tells it so.

use std::{error, fmt};

/// Why a connection fails (RFC 6455 §7.1.7). Every case ends it; none can be recovered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketError {
    /// RSV1, RSV2 or RSV3 is set, though no extension was negotiated.
    ReservedBits,
    /// An opcode of 3–7 or 11–15.
    ReservedOpcode(u8),
    /// A client's frame without a mask.
    Unmasked,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame of more than 125 bytes.
    LongControl,
    /// A length in more bytes than it needs.
    NonMinimalLength,
    /// A 64-bit length with its top bit set.
    LengthTopBit,
    /// A continuation frame with nothing to continue.
    UnexpectedContinuation,
    /// A new message before the fragmented one was finished.
    InterruptedMessage,
    /// A close frame of one byte: half a code.
    HalfCloseCode,
    /// A close code that no endpoint may send.
    InvalidCloseCode(u16),
    /// Text or a close reason that is not UTF-8.
    InvalidUtf8,
    /// A message beyond the limit that the server sets.
    TooBig,
}

impl WebSocketError {
    /// The code for the close frame that ends the connection (RFC 6455 §7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 => 1007,
            Self::TooBig => 1009,
            _ => 1002,
        }
    }
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("RFC 6455 §5.2: a reserved bit is set without an extension"),
            Self::ReservedOpcode(opcode) => write!(f, "RFC 6455 §5.2: opcode {opcode} is reserved"),
            Self::Unmasked => f.write_str("RFC 6455 §5.1: a frame from the client is not masked"),
            Self::FragmentedControl => f.write_str("RFC 6455 §5.5: a control frame is fragmented"),
            Self::LongControl => f.write_str("RFC 6455 §5.5: a control frame is longer than 125 bytes"),
            Self::NonMinimalLength => f.write_str("RFC 6455 §5.2: a length is not in its shortest form"),
            Self::LengthTopBit => f.write_str("RFC 6455 §5.2: the top bit of a 64-bit length is set"),
            Self::UnexpectedContinuation => {
                f.write_str("RFC 6455 §5.4: a continuation frame without a message to continue")
            }
            Self::InterruptedMessage => {
                f.write_str("RFC 6455 §5.4: a new message inside a fragmented message")
            }
            Self::HalfCloseCode => f.write_str("RFC 6455 §5.5.1: a close frame holds half a code"),
            Self::InvalidCloseCode(code) => write!(f, "RFC 6455 §7.4: close code {code} must not be sent"),
            Self::InvalidUtf8 => f.write_str("RFC 6455 §8.1: text is not UTF-8"),
            Self::TooBig => f.write_str("RFC 6455 §10.4: a message is longer than the server's limit"),
        }
    }
}

impl error::Error for WebSocketError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_small_enough_to_be_returned_anywhere() {
        assert!(size_of::<WebSocketError>() <= 4);
    }

    #[test]
    fn maps_to_the_close_codes_of_the_contract() {
        assert_eq!(WebSocketError::Unmasked.close_code(), 1002);
        assert_eq!(WebSocketError::InvalidCloseCode(1005).close_code(), 1002);
        assert_eq!(WebSocketError::InvalidUtf8.close_code(), 1007);
        assert_eq!(WebSocketError::TooBig.close_code(), 1009);
    }

    #[test]
    fn names_the_clause_and_the_value() {
        assert_eq!(WebSocketError::ReservedOpcode(3).to_string(), "RFC 6455 §5.2: opcode 3 is reserved");
        assert_eq!(
            WebSocketError::InvalidCloseCode(1005).to_string(),
            "RFC 6455 §7.4: close code 1005 must not be sent"
        );
    }
}
