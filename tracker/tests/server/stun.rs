//! STUN over UDP.

use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, MappedAddress, Nat, ServerMessage, Transport, stun,
};
use tokio::net::UdpSocket;

use super::{PATIENCE, fetcher, tracker};

fn request(transaction: u8) -> Vec<u8> {
    [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[transaction; 12]].concat()
}

async fn answer(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 100];
    let received = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("answered in time");
    buffer[..received.expect("received")].to_vec()
}

#[tokio::test]
async fn both_ports_tell_the_address() {
    let tracker = tracker(|_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let port = socket.local_addr().expect("bound").port() ^ 0x2112;
    for (transaction, server) in (7..).zip(&tracker.serving.stun_addresses) {
        socket.connect(server).await.expect("connected");
        socket.send(&request(transaction)).await.expect("sent");
        let mapped =
            [&[0, 0x20, 0, 8, 0, 1][..], &port.to_be_bytes(), &[127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42]].concat();
        let head = [&[1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42][..], &[transaction; 12]].concat();
        assert_eq!(answer(&socket).await, [head, mapped].concat());
    }
}

#[tokio::test]
async fn what_is_malformed_gets_no_answer() {
    let tracker = tracker(|_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(tracker.serving.stun_addresses[0]).await.expect("connected");
    for datagram in [&b""[..], b"hello", &request(1)[..19], &[0xc3; 1400]] {
        socket.send(datagram).await.expect("sent");
    }
    socket.send(&request(9)).await.expect("sent");
    assert_eq!(answer(&socket).await[8..20], [9; 12], "the only answer is to the good one");
    let stats = tracker.serving.stats().await.expect("running");
    assert_eq!((stats.stun_answered_total, stats.stun_malformed_total), (1, 4));
}

#[tokio::test]
async fn one_source_is_limited() {
    let tracker = tracker(|_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(tracker.serving.stun_addresses[0]).await.expect("connected");
    let mut limited = 0;
    // Faster than the rate on any machine that sends more than a hundred datagrams a second.
    for _ in 0..100 {
        for _ in 0..100 {
            socket.send(&request(1)).await.expect("sent");
        }
        limited = tracker.serving.stats().await.expect("running").stun_limited_total;
        if limited > 0 {
            break;
        }
    }
    assert!(limited > 0);
}

#[tokio::test]
async fn there_is_none_where_none_is_wanted() {
    let tracker = tracker(|options| options.stun = None).await;
    assert!(tracker.serving.stun_addresses.is_empty());
    let mut client = super::Client::open(tracker.serving.address).await;
    assert!(client.greet(1).await.stun_ports.is_empty());
}

#[tokio::test]
async fn what_clients_are_told_may_differ() {
    let tracker = tracker(|options| {
        options.stun_host = Some("stun.example".to_owned());
        options.stun_advertise = Some([3478, 3479]);
    })
    .await;
    let welcome = super::Client::open(tracker.serving.address).await.greet(1).await;
    assert_eq!((welcome.stun_host.as_deref(), welcome.stun_ports), (Some("stun.example"), vec![3478, 3479]));
}

#[tokio::test]
async fn who_asks_is_answered_from_a_port_to_which_nothing_was_sent() {
    let tracker = tracker(|_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let wish = stun::Wish { other_port: true, proof: false };
    let first = tracker.serving.stun_addresses[0];
    socket.send_to(&stun::binding_request([5; 12], wish), first).await.expect("sent");
    let mut buffer = [0; 100];
    let received = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await.expect("in time");
    let (length, from) = received.expect("received");
    let response = stun::read_response(&buffer[..length]).expect("an answer");
    assert_eq!((response.transaction, response.mapped), ([5; 12], socket.local_addr().expect("bound")));
    assert_eq!(from.ip(), first.ip());
    assert!(!tracker.serving.stun_addresses.contains(&from));
}

#[tokio::test]
async fn an_address_that_stun_has_seen_is_believed_and_no_other() {
    let tracker = tracker(|_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(tracker.serving.stun_addresses[0]).await.expect("connected");
    let wish = stun::Wish { other_port: false, proof: true };
    socket.send(&stun::binding_request([6; 12], wish)).await.expect("sent");
    let response = stun::read_response(&answer(&socket).await).expect("an answer");
    let proof = Base64(response.proof.expect("asked for").to_vec());
    let mapped = |address, nat| MappedAddress { address, nat, proof: proof.clone() };
    let elsewhere = "203.0.113.9:7".parse().expect("address");
    // The node's own word for its candidates is about another port.
    let announce = Announce {
        candidates: vec![Candidate {
            transport: Transport::Quic,
            address: "0.0.0.0:9".parse().expect("address"),
        }],
        mapped: vec![mapped(elsewhere, Nat::Open), mapped(response.mapped, Nat::Open)],
        ..fetcher(1, 7)
    };
    let mut first = super::Client::open(tracker.serving.address).await;
    first.greet(1).await;
    first.say(&ClientMessage::Announce(announce)).await;
    first.sync().await;
    let mut second = super::Client::open(tracker.serving.address).await;
    second.greet(2).await;
    second.say(&ClientMessage::Announce(fetcher(1, 8))).await;
    let candidates = second
        .wait_for(|message| match message {
            ServerMessage::Pair { candidates, .. } => Some(candidates),
            _ => None,
        })
        .await;
    assert_eq!(candidates, [Candidate { transport: Transport::Quic, address: response.mapped }]);
}
