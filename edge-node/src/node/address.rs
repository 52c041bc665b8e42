//! The URL by which a user names a release: `http://host/game/demo/channels/live#key=ed25519:...`.

use freshet_protocol::PublicKey;
use freshet_protocol::origin_path::{self, Target};

use crate::node::GetError;

/// An origin's base URL and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseUrl {
    /// Up to where content names begin, ending in a slash.
    pub(crate) base: String,
    pub(crate) target: Target,
}

impl ReleaseUrl {
    /// Reads a URL, and the tenant key in its fragment where it has one. A query is dropped: identity is content, not
    /// URL.
    ///
    /// # Errors
    /// [`GetError::Usage`] says what is wrong with it.
    pub fn parse(url: &str) -> Result<(Self, Option<PublicKey>), GetError> {
        let usage = |what: &str| GetError::Usage(format!("{url:?} {what}"));
        let (address, fragment) = url.split_once('#').map_or((url, None), |(a, f)| (a, Some(f)));
        let address = address.split('?').next().unwrap_or_default();
        let scheme_end = ["http://", "https://"]
            .iter()
            .find(|scheme| address.starts_with(**scheme))
            .map(|scheme| scheme.len())
            .ok_or_else(|| usage("must start with http:// or https://"))?;
        let form = "must name a channel (http://host/game/demo/channels/live) or a root (.../roots/HASH)";
        let path_at = address[scheme_end..].find('/').ok_or_else(|| usage(form))? + scheme_end;
        let (base, target) = origin_path::parse(&address[path_at..]).ok_or_else(|| usage(form))?;
        let key = match fragment {
            None | Some("") => None,
            Some(fragment) => {
                let text =
                    fragment.strip_prefix("key=").ok_or_else(|| usage("may end in #key=ed25519:... only"))?;
                Some(text.parse().map_err(|error| usage(&format!("has a bad key: {error}")))?)
            }
        };
        Ok((Self { base: format!("{}{base}", &address[..path_at]), target }, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let key = freshet_protocol::SigningKey::from_seed(&[1; 32]).public();
        let check = |url: &str, base: &str, has_key: bool| {
            let (parsed, found) = ReleaseUrl::parse(url).expect(url);
            assert_eq!((parsed.base.as_str(), found), (base, has_key.then_some(key)), "{url}");
        };
        check("http://h:1/game/demo/channels/live", "http://h:1/", false);
        check("https://h/cdn/x/game/demo/channels/live?token=a", "https://h/", false);
        check("https://h/CDN/game/demo/channels/live", "https://h/CDN/", false);
        check(&format!("http://h/game/demo/channels/live#key={key}"), "http://h/", true);

        let refuse = |url: &str, expected: &str| {
            let error = ReleaseUrl::parse(url).expect_err(url).to_string();
            assert!(error.contains(expected), "{error}");
        };
        refuse("ftp://h/game/demo/channels/live", "must start with");
        refuse("http://h", "must name a channel");
        refuse("http://h/game/demo", "must name a channel");
        refuse("http://h/game/demo/channels/live#key=rsa:x", "bad key");
        refuse("http://h/game/demo/channels/live#top", "#key=");
    }
}
