//! Where a tracker's STUN service is.

use crate::tracker_client::Welcome;
use crate::transport::StunService;

/// The tracker's STUN service, if it has one.
pub(super) fn stun_service(welcome: &Welcome) -> Option<StunService> {
    let first = *welcome.stun_ports.first()?;
    let ports = [first, welcome.stun_ports.get(1).copied().unwrap_or(first)];
    let host = welcome.stun_host.as_deref().or_else(|| host_of(&welcome.url))?;
    Some(StunService { host: host.to_owned(), ports })
}

/// The host in a tracker's address, an IPv6 address without its brackets.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(address) => address.split_once(']')?.0,
        None => host.split(':').next()?,
    };
    Some(host).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_trackers() {
        let check = |url: &str, expected: Option<&str>| assert_eq!(host_of(url), expected, "{url}");
        check("ws://127.0.0.1:7000", Some("127.0.0.1"));
        check("wss://tracker.example/socket?x=a:b", Some("tracker.example"));
        check("wss://[2001:db8::1]:7000/", Some("2001:db8::1"));
        check("ws://user@host:1", Some("host"));
        check("ws://", None);
        check("ws://[::1", None);
        check("host:1", None);
    }
}
