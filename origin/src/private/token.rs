//! The word by which a writer is known.

use axum::http::{HeaderMap, header};
use ring::hmac;
use ring::rand::SystemRandom;

/// Shortest token that is taken for one.
const TOKEN_BYTES_MIN: usize = 8;

/// Why a token is none.
#[derive(Debug, thiserror::Error)]
#[error("the token must have at least {TOKEN_BYTES_MIN} bytes")]
pub(crate) struct TokenError;

/// A token that a request must carry.
#[derive(Debug)]
pub(crate) struct Token {
    key: hmac::Key,
    expected: hmac::Tag,
}

impl Token {
    /// # Errors
    /// When it is too short to keep anybody out.
    pub(crate) fn new(token: &str) -> Result<Self, TokenError> {
        if token.len() < TOKEN_BYTES_MIN {
            return Err(TokenError);
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.expect("the operating system gives random bytes");
        let expected = hmac::sign(&key, token.as_bytes());
        Ok(Self { key, expected })
    }

    /// Whether a request with these headers carries the token. Compared under a random key and in constant time,
    /// so the time that it takes tells nothing.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        given.is_some_and(|given| hmac::verify(&self.key, given, self.expected.as_ref()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ones_are_none() {
        assert!(Token::new("s3cret4").is_err());
        assert!(Token::new("s3cret42").is_ok());
    }

    #[test]
    fn only_the_token_opens() {
        let token = Token::new("s3cret42").expect("long enough");
        let check = |value: &str, expected| {
            let value = value.parse().expect("a header's value");
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
            assert_eq!(token.is_in(&headers), expected, "{headers:?}");
        };
        check("Bearer s3cret42", true);
        check("bearer  s3cret42 ", true);
        check("Bearer s3cret4", false);
        check("Bearer s3cret421", false);
        check("Bearer ", false);
        check("Bearer", false);
        check("Basic s3cret42", false);
        check("s3cret42", false);
        check("", false);
        assert!(!token.is_in(&HeaderMap::new()));
    }
}
