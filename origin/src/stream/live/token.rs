//! The word by which a packager is known.

use ring::hmac;
use ring::rand::SystemRandom;

/// A token that a request must carry.
#[derive(Debug)]
pub(super) struct Token {
    key: hmac::Key,
    expected: hmac::Tag,
}

impl Token {
    pub(super) fn new(token: &str) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.expect("the operating system gives random bytes");
        let expected = hmac::sign(&key, token.as_bytes());
        Self { key, expected }
    }

    /// Whether the value of an `Authorization` header carries the token. Compared under a random key and in constant time,
    /// so the time that it takes tells nothing.
    pub(super) fn is_in(&self, authorization: Option<&[u8]>) -> bool {
        let given = authorization.and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        given.is_some_and(|given| hmac::verify(&self.key, given, self.expected.as_ref()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let token = Token::new("s3cret");
        let check =
            |value: &str, expected| assert_eq!(token.is_in(Some(value.as_bytes())), expected, "{value}");
        check("Bearer s3cret", true);
        check("bearer  s3cret ", true);
        check("Bearer s3cre", false);
        check("Bearer s3cret2", false);
        check("Bearer ", false);
        check("Bearer", false);
        check("Basic s3cret", false);
        check("s3cret", false);
        check("", false);
        assert!(!token.is_in(None));
    }
}
