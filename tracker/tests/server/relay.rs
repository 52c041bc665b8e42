//! What clients hear of each other.

use std::net::SocketAddr;

use freshet_protocol::{ClientMessage, PairOutcome, ServerMessage};

use super::{Client, fetcher, key, lease, tracker};

#[tokio::test]
async fn two_clients_are_paired_and_signal() {
    let tracker = tracker(|_| {}).await;
    let mut first = Client::enter(tracker.serving.address, 1).await;
    first.say(&ClientMessage::Announce(fetcher(0, 7001))).await;
    first.sync().await;
    let mut second = Client::enter(tracker.serving.address, 2).await;
    second.say(&ClientMessage::Announce(fetcher(8, 7002))).await;
    let pair_of = |message| match message {
        ServerMessage::Pair { pair, key, candidates, dial, .. } => Some((pair, key, candidates, dial)),
        _ => None,
    };
    let (pair, other_key, candidates, dial) = second.wait_for(pair_of).await;
    let (same_pair, own_key, own_candidates, other_dial) = first.wait_for(pair_of).await;
    assert_eq!(pair, same_pair);
    assert_ne!(dial, other_dial, "exactly one side dials");
    assert_eq!((other_key, own_key), (key(1).public().id(), key(2).public().id()));
    let addresses = |candidates: Vec<freshet_protocol::Candidate>| {
        candidates.into_iter().map(|candidate| candidate.address).collect::<Vec<_>>()
    };
    assert_eq!(addresses(candidates), [SocketAddr::from(([127, 0, 0, 1], 7001))], "own addresses only");
    assert_eq!(addresses(own_candidates), [SocketAddr::from(([127, 0, 0, 1], 7002))]);

    second.say(&ClientMessage::Signal { pair, data: "offer".to_owned() }).await;
    let heard = first.wait_for(|message| match message {
        ServerMessage::Signal { pair, data } => Some((pair, data)),
        _ => None,
    });
    assert_eq!(heard.await, (pair, "offer".to_owned()));
    second.say(&ClientMessage::Paired { pair, outcome: PairOutcome::Linked }).await;
    second.sync().await;
    let stats = tracker.serving.stats().await.expect("running").swarms;
    assert_eq!((stats.clients, stats.peers, stats.pairs_linked, stats.signals_total), (2, 2, 1, 1));
}

#[tokio::test]
async fn a_client_that_breaks_off_frees_its_leases() {
    let tracker = tracker(|_| {}).await;
    let granted = |message| match message {
        ServerMessage::Shards { granted, .. } => Some(granted),
        _ => None,
    };
    let mut first = Client::enter(tracker.serving.address, 1).await;
    let one_shard = freshet_protocol::Announce { chunks: 4, ..fetcher(0, 7001) };
    first.say(&ClientMessage::Announce(one_shard.clone())).await;
    first.say(&lease(1)).await;
    assert_eq!(first.wait_for(granted).await, [0]);
    let mut second = Client::enter(tracker.serving.address, 2).await;
    second.say(&ClientMessage::Announce(one_shard)).await;
    second.say(&lease(1)).await;
    assert!(second.wait_for(granted).await.is_empty());
    drop(first);
    assert_eq!(second.wait_for(granted).await, [0]);
}

#[tokio::test]
async fn what_is_unknown_is_ignored() {
    let tracker = tracker(|_| {}).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    client.say_text(r#"{"type":"teleport","to":"moon"}"#.to_owned()).await;
    client.say_text(r#"{"type":"paired","pair":5,"outcome":"vanished","why":"new"}"#.to_owned()).await;
    client.say(&lease(0)).await;
    let answer = client.next().await;
    assert!(
        matches!(answer, Some(ServerMessage::Shards { .. })),
        "the first answer is to the lease: {answer:?}"
    );
}

#[tokio::test]
async fn the_origin_budget_reaches_clients() {
    let tracker = tracker(|options| options.swarms.origin_budget_bytes_s = Some(2_500_000)).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    client.say(&lease(0)).await;
    let Some(ServerMessage::Shards { origin_budget_bytes_s, .. }) = client.next().await else {
        panic!("expected shards");
    };
    assert_eq!(origin_budget_bytes_s, Some(2_500_000));
}
