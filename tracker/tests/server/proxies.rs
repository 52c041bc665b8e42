//! Whose address counts where a proxy stands between.

use std::net::SocketAddr;

use freshet_listen::{Proxies, ProxyHeader};
use freshet_protocol::{Announce, Candidate, ClientMessage, ServerMessage, Transport};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{Client, Tracker, fetcher, tracker};

async fn behind(trusted: &[&str], header: ProxyHeader) -> Tracker {
    let trusted = trusted.iter().map(|text| text.parse().expect("network")).collect();
    tracker(|options| options.proxies = Proxies { trusted, header }).await
}

/// Connects as a proxy does that adds `line` to the request of its client.
pub(super) async fn open(tracker: &Tracker, name: &'static str, line: &str) -> Client {
    let stream = TcpStream::connect(tracker.serving.address).await.expect("connected");
    let mut request = "ws://tracker/".into_client_request().expect("a request");
    request.headers_mut().insert(name, line.parse().expect("a value"));
    let (socket, _) = client_async(request, stream).await.expect("upgraded");
    Client { socket }
}

#[tokio::test]
async fn the_welcome_tells_the_clients_own_address() {
    let check = async |trusted: &[&str], header, name, line: &str, expected: Option<&str>| {
        let tracker = behind(trusted, header).await;
        let mut client = open(&tracker, name, line).await;
        let own = client.socket.get_ref().local_addr().expect("connected");
        let expected = expected.map_or(own, |text| text.parse::<SocketAddr>().expect("address"));
        assert_eq!(client.greet(1).await.address, expected, "{trusted:?} {name}: {line}");
    };
    use ProxyHeader::{Forwarded, XForwardedFor};
    let xff = "x-forwarded-for";
    check(&[], XForwardedFor, xff, "203.0.113.1", None).await;
    check(&["192.0.2.0/24"], XForwardedFor, xff, "203.0.113.1", None).await;
    check(&["127.0.0.1"], XForwardedFor, xff, "6.6.6.6, 203.0.113.1", Some("203.0.113.1:0")).await;
    check(&["127.0.0.0/8"], XForwardedFor, xff, "garbage", None).await;
    check(&["127.0.0.1"], XForwardedFor, "forwarded", "for=203.0.113.1", None).await;
    check(&["127.0.0.1"], Forwarded, "forwarded", "for=\"[2001:db8::7]:4711\"", Some("[2001:db8::7]:4711"))
        .await;
    check(&["127.0.0.1"], Forwarded, xff, "203.0.113.1", None).await;
}

#[tokio::test]
async fn pairing_and_candidates_go_by_the_clients_own_address() {
    let tracker = behind(&["127.0.0.1"], ProxyHeader::XForwardedFor).await;
    let candidate =
        |address: &str| Candidate { transport: Transport::Quic, address: address.parse().expect("address") };
    let announce = |own: &str| {
        let candidates = vec![candidate(own), candidate("127.0.0.1:7"), candidate("198.51.100.9:7")];
        ClientMessage::Announce(Announce { candidates, ..fetcher(1, 7) })
    };
    let mut first = open(&tracker, "x-forwarded-for", "203.0.113.1").await;
    first.greet(1).await;
    first.say(&announce("203.0.113.1:7")).await;
    first.sync().await;
    let mut second = open(&tracker, "x-forwarded-for", "203.0.113.2").await;
    second.greet(2).await;
    second.say(&announce("203.0.113.2:7")).await;
    let candidates = second
        .wait_for(|message| match message {
            ServerMessage::Pair { candidates, .. } => Some(candidates),
            _ => None,
        })
        .await;
    assert_eq!(candidates, [candidate("203.0.113.1:7")], "neither the proxy's address nor a third party's");
}
