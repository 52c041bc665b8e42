//! Attribute lists of tags: `NAME=VALUE,NAME="QUOTED, VALUE"` (RFC 8216, 4.2).

/// The attributes of a tag, in order. What is not of the form ends the list: a player stumbles there too.
pub(super) fn attributes(list: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"')?;
                (value, after.strip_prefix(',').unwrap_or(after))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        rest = after;
        Some((name.trim(), value.trim()))
    })
}

/// The value of one attribute.
pub(super) fn attribute<'a>(list: &'a str, wanted: &str) -> Option<&'a str> {
    attributes(list).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |list, expected: &[(&str, &str)]| {
            assert_eq!(attributes(list).collect::<Vec<_>>(), expected, "{list}");
        };
        check("", &[]);
        check("A=1", &[("A", "1")]);
        check("A=1,B=\"x,y=z\",C=d", &[("A", "1"), ("B", "x,y=z"), ("C", "d")]);
        check("A=\"\", B=2", &[("A", ""), ("B", "2")]);
        check("A=\"open", &[]);
        check("A,B=1", &[("A,B", "1")]);
        check("=,=,", &[("", ""), ("", "")]);
        assert_eq!(attribute("URI=\"a\",BYTERANGE=\"1@2\"", "BYTERANGE"), Some("1@2"));
    }
}
