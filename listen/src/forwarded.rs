//! Reads the headers in which proxies name who asked them, from the right to the left: what stands at the right was
//! written by the nearest proxy, and what a client wrote at the left cannot change how it is read.

use std::net::{IpAddr, SocketAddr};

/// The entries of a line of `X-Forwarded-For`; `None` for one that is no address.
pub(crate) fn x_forwarded_for(line: &[u8]) -> impl Iterator<Item = Option<SocketAddr>> + '_ {
    line.rsplit(|&byte| byte == b',')
        .map(text)
        .filter(|entry| *entry != Some(""))
        .map(|entry| address(entry?))
}

/// The `for` of each element of a line of `Forwarded` (RFC 7239, 4); `None` for one that is no address.
pub(crate) fn forwarded(line: &[u8]) -> impl Iterator<Item = Option<SocketAddr>> + '_ {
    Pieces { rest: Some(line), separator: b',' }
        .map(text)
        .filter(|element| *element != Some(""))
        .map(|element| address(&for_of(element?)?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim_matches([' ', '\t']))
}

/// Pieces between separators that are not quoted, from the right to the left.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut is_quoted = false;
        for (at, &byte) in rest.iter().enumerate().rev() {
            if byte == b'"' {
                // Within a quoted text, a quote behind an odd number of backslashes is a part of it.
                let escapes = rest[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
                is_quoted ^= !is_quoted || escapes % 2 == 0;
            } else if byte == self.separator && !is_quoted {
                self.rest = Some(&rest[..at]);
                return Some(&rest[at + 1..]);
            }
        }
        self.rest = None;
        Some(rest)
    }
}

/// The value of the one parameter `for` of an element.
fn for_of(element: &str) -> Option<String> {
    let pairs = Pieces { rest: Some(element.as_bytes()), separator: b';' };
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = text(pair)?.split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = values.next()?;
    if values.next().is_some() { None } else { unquoted(value) }
}

/// A token as it is, or what a quoted text stands for (RFC 9110, 5.6.4).
fn unquoted(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut out = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '\\' => out.push(characters.next()?),
            '"' => break,
            other => out.push(other),
        }
    }
    characters.as_str().is_empty().then_some(out)
}

/// An address, with brackets or without, with a port, a hidden port (`_name`) or without; port 0 where none is told.
fn address(node: &str) -> Option<SocketAddr> {
    let node = match node.rsplit_once(':') {
        Some((node, hidden)) if hidden.starts_with('_') => node,
        _ => node,
    };
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let without_port = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    let address = node.parse::<SocketAddr>().or(without_port).ok()?;
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() { None } else { Some(SocketAddr::new(ip, address.port())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_at_separators_that_are_not_quoted() {
        let check = |line: &str, expected: &[&str]| {
            let pieces = Pieces { rest: Some(line.as_bytes()), separator: b',' };
            let found: Vec<_> = pieces.map(|piece| std::str::from_utf8(piece).expect("text")).collect();
            assert_eq!(found, expected, "{line}");
        };
        check("", &[""]);
        check("a", &["a"]);
        check("a,b,", &["", "b", "a"]);
        check("\"a,b\",c", &["c", "\"a,b\""]);
        check("\"a\\\",b\",c", &["c", "\"a\\\",b\""]);
        check("\"a\\\\\",b", &["b", "\"a\\\\\""]);
        check("\",b", &["b", "\""]);
    }
}
