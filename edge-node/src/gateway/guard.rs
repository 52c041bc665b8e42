//! Who may ask: programs of this machine, and pages of the sites that its owner allows. Any page that somebody looks at can
//! send requests to loopback, by a name of its own that leads there (DNS rebinding) or as part of the page.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::refusal::Refusal;

/// Names by which this machine calls itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Answer headers that allowed pages may read.
const EXPOSED: &str = "Accept-Ranges, Content-Length, Content-Range, ETag, Repr-Digest";

/// The owner's word.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    /// Further names, without port, in lower case.
    pub(super) hosts: Vec<String>,
    /// Sites whose pages may ask, like `https://play.example`.
    pub(super) origins: Vec<String>,
}

/// Who asks, once that is settled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A program, or a page of the gateway itself.
    Own,
    /// A page of an allowed site.
    Site(HeaderValue),
}

impl Guard {
    /// # Errors
    /// [`Refusal::Host`] and [`Refusal::Site`].
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Asker, Refusal> {
        let host = host(uri, headers).ok_or(Refusal::Host)?;
        let name = without_port(&host);
        if !OWN_NAMES.contains(&name) && !self.hosts.iter().any(|allowed| allowed == name) {
            return Err(Refusal::Host);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
                // Programs do not say; browsers say who made them ask.
                None | Some(b"none" | b"same-origin") => Ok(Asker::Own),
                Some(_) => Err(Refusal::Site),
            },
            (Some(origin), None) => {
                let text = origin.to_str().map_err(|_| Refusal::Site)?;
                let is_own = text.strip_prefix("http://").is_some_and(|own| own.eq_ignore_ascii_case(&host));
                if is_own {
                    Ok(Asker::Own)
                } else if self.origins.iter().any(|allowed| allowed == text) {
                    Ok(Asker::Site(origin.clone()))
                } else {
                    Err(Refusal::Site)
                }
            }
            (Some(_), Some(_)) => Err(Refusal::Site),
        }
    }
}

impl Asker {
    /// Says in the answer who may read it.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Self::Site(origin) = self else {
            let policy = HeaderName::from_static("cross-origin-resource-policy");
            headers.insert(policy, HeaderValue::from_static("same-origin"));
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }

    /// The answer to a page that asks what it may ask (Fetch standard, CORS-preflight; Private Network Access).
    pub(super) fn tell_before(&self, headers: &mut HeaderMap) {
        self.tell(headers);
        if let Self::Site(_) = self {
            let mut put = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
            put(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
            put(header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match, If-Range, Want-Repr-Digest");
            put(header::ACCESS_CONTROL_MAX_AGE, "600");
            put(HeaderName::from_static("access-control-allow-private-network"), "true");
        }
    }
}

/// The host that was asked for, in lower case. HTTP/1.1 has one such header, HTTP/2 has it in the URI.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut named = headers.get_all(header::HOST).iter();
    let header = match (named.next(), named.next()) {
        (named, None) => named.map(|host| host.to_str().ok()).map_or(Some(None), |host| host.map(Some))?,
        (_, Some(_)) => return None,
    };
    let in_uri = uri.authority().map(|authority| authority.as_str());
    match (in_uri, header) {
        (Some(uri), Some(header)) if !uri.eq_ignore_ascii_case(header) => None,
        (Some(host), _) | (None, Some(host)) => Some(host.to_ascii_lowercase()),
        (None, None) => None,
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard { hosts: vec!["games.internal".to_owned()], origins: vec!["https://play.example".to_owned()] }
    }

    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<Asker, Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("name");
            map.append(name, HeaderValue::from_str(value).expect("value"));
        }
        guard().check(&uri.parse().expect("URI"), &map)
    }

    #[test]
    fn programs_of_this_machine_may_ask() {
        for host in
            ["127.0.0.1:8188", "127.0.0.1", "LocalHost:8188", "[::1]:8188", "[::1]", "Games.Internal:80"]
        {
            assert_eq!(check("/x", &[("host", host)]), Ok(Asker::Own), "{host}");
        }
        // HTTP/2 says it in the URI.
        assert_eq!(check("http://localhost:8188/x", &[]), Ok(Asker::Own));
    }

    #[test]
    fn a_name_that_leads_here_by_chance_may_not() {
        for host in [
            "evil.example",
            "evil.example:8188",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "[::2]",
            "127.0.0.1:x",
        ] {
            assert_eq!(check("/x", &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check("/x", &[]), Err(Refusal::Host));
        assert_eq!(check("/x", &[("host", "localhost"), ("host", "localhost")]), Err(Refusal::Host));
        assert_eq!(check("http://evil.example/x", &[("host", "localhost")]), Err(Refusal::Host));
    }

    #[test]
    fn pages_may_ask_where_their_site_is_allowed() {
        let host = ("host", "127.0.0.1:8188");
        let origin = |origin| check("/x", &[host, ("origin", origin)]);
        assert_eq!(
            origin("https://play.example"),
            Ok(Asker::Site(HeaderValue::from_static("https://play.example")))
        );
        assert_eq!(origin("http://127.0.0.1:8188"), Ok(Asker::Own));
        for other in [
            "https://evil.example",
            "http://play.example",
            "https://play.example.evil",
            "null",
            "http://127.0.0.1:9",
        ] {
            assert_eq!(origin(other), Err(Refusal::Site), "{other}");
        }
        let both = [host, ("origin", "https://play.example"), ("origin", "https://evil.example")];
        assert_eq!(check("/x", &both), Err(Refusal::Site));
    }

    #[test]
    fn what_a_page_loads_without_asking_is_refused() {
        let host = ("host", "localhost:8188");
        for site in ["cross-site", "same-site"] {
            assert_eq!(check("/x", &[host, ("sec-fetch-site", site)]), Err(Refusal::Site), "{site}");
        }
        for site in ["none", "same-origin"] {
            assert_eq!(check("/x", &[host, ("sec-fetch-site", site)]), Ok(Asker::Own), "{site}");
        }
    }
}
