//! The task of a data channel: takes messages off it, watches over its connection, and closes both.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use freshet_protocol::Frame;
use freshet_protocol::limits::BYE_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use webrtc::data_channel::DataChannelEvent;
use webrtc::peer_connection::{RTCPeerConnectionState, RTCStatsReportEntry, StatsSelector};

use super::connection::ConnectionEvent;
use super::wire::{End, Shared};
use crate::transport::limits::{BYE_TIME, DOUBT_TIME_MAX};
use crate::transport::printable::cut;
use crate::transport::wire::LinkLost;

/// How often the round-trip time is measured.
const MEASURE_TIME: Duration = Duration::from_secs(2);
/// How often it is looked whether there is something to time.
const TIMING_TIME: Duration = Duration::from_millis(50);
/// How often it is looked whether all that was said last has been acknowledged.
const FLUSH_TIME: Duration = Duration::from_millis(5);

/// Runs until the connection is over on either side, then closes it and frees its place.
pub(super) async fn keep(
    shared: Arc<Shared>,
    events: mpsc::Receiver<ConnectionEvent>,
    place: OwnedSemaphorePermit,
) {
    tokio::select! {
        () = shared.gone.cancelled() => {}
        () = read(&shared) => {}
        () = watch(&shared, events) => {}
    }
    say_farewell(&shared).await;
    // Fails only for what is closed already.
    let _ = shared.peer.close().await;
    drop(place);
}

/// Tells the peer which requests are taken back.
pub(super) async fn cancel(shared: Arc<Shared>, mut requests: mpsc::Receiver<u64>) {
    loop {
        let request = tokio::select! {
            () = shared.gone.cancelled() => return,
            Some(request) = requests.recv() => request,
        };
        // The keeper sees that the channel is gone.
        let _ = shared.send(BytesMut::from(&Frame::Cancel { request }.encode()[..])).await;
    }
}

/// Times acknowledgements while bytes go out: the connection itself measures its round trip only every few seconds.
pub(super) async fn time(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.gone.cancelled() => {}
        () = time_each(&shared) => {}
    }
}

async fn time_each(shared: &Shared) {
    let mut timed = shared.sent_bytes();
    loop {
        tokio::time::sleep(TIMING_TIME).await;
        let mark = shared.sent_bytes();
        if mark == std::mem::replace(&mut timed, mark) {
            continue;
        }
        let begun = Instant::now();
        while !shared.is_acknowledged(mark).await {
            tokio::time::sleep(FLUSH_TIME).await;
        }
        let took_us = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        shared.timed_us.store(took_us, Ordering::Relaxed);
    }
}

async fn read(shared: &Shared) {
    loop {
        match shared.channel.poll().await {
            Some(DataChannelEvent::OnMessage(message)) => {
                let taken = if message.is_string {
                    Err("a message of text".to_owned())
                } else {
                    shared.take(message.data).await
                };
                if let Err(why) = taken {
                    return shared.end(End { lost: LinkLost::Misbehaved(why.clone()), farewell: Some(why) });
                }
            }
            Some(DataChannelEvent::OnClosing | DataChannelEvent::OnClose) | None => {
                return shared.lost_by("the peer closed its channel");
            }
            Some(_) => {}
        }
    }
}

/// Ends the connection when it has been silent for too long, or the peer opens more than it may.
async fn watch(shared: &Shared, mut events: mpsc::Receiver<ConnectionEvent>) {
    let mut measure_at = tokio::time::interval(MEASURE_TIME);
    let mut lost_at: Option<tokio::time::Instant> = None;
    loop {
        let doubt = async {
            match lost_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(event) = events.recv() => match event {
                ConnectionEvent::State(RTCPeerConnectionState::Disconnected) => {
                    lost_at.get_or_insert_with(|| tokio::time::Instant::now() + DOUBT_TIME_MAX);
                }
                ConnectionEvent::State(RTCPeerConnectionState::Connected) => lost_at = None,
                ConnectionEvent::State(
                    RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed,
                ) => return shared.lost_by("the peer does not answer"),
                ConnectionEvent::Channel(_) => {
                    let why = "more than one channel".to_owned();
                    return shared.end(End { lost: LinkLost::Misbehaved(why.clone()), farewell: Some(why) });
                }
                ConnectionEvent::State(_) | ConnectionEvent::Candidate(_) | ConnectionEvent::Gathered => {}
            },
            () = doubt => return shared.lost_by("the peer does not answer"),
            _ = measure_at.tick() => measure(shared).await,
        }
    }
}

/// Takes round-trip time and address from the pair of candidates in use.
pub(super) async fn measure(shared: &Shared) {
    let report = shared.peer.get_stats(Instant::now(), StatsSelector::None).await;
    let Some(pair) =
        report.candidate_pairs().filter(|pair| pair.nominated).max_by_key(|pair| pair.bytes_received)
    else {
        return;
    };
    let rtt = Duration::try_from_secs_f64(pair.current_round_trip_time).unwrap_or_default();
    shared.rtt_us.store(rtt.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    if let Some(RTCStatsReportEntry::RemoteCandidate(remote)) = report.get(&pair.remote_candidate_id)
        && let Some(ip) = remote.address.as_ref().and_then(|address| address.parse().ok())
    {
        shared.set_remote(std::net::SocketAddr::new(ip, remote.port));
    }
}

/// What the peer should still hear, within [`BYE_TIME`].
async fn say_farewell(shared: &Shared) {
    let said = async {
        if let Some(reason) = shared.farewell() {
            let bye = Frame::Bye { reason: cut(reason, BYE_BYTES_MAX).to_owned() };
            shared.channel.send(BytesMut::from(&bye.encode()[..])).await.ok()?;
        }
        while shared.channel.outstanding_bytes().await.ok()? > 0 {
            tokio::time::sleep(FLUSH_TIME).await;
        }
        shared.channel.close().await.ok()?;
        // The peer closes its side in answer.
        while shared.channel.poll().await.is_some() {}
        Some(())
    };
    // Whether it was heard is of no interest any more.
    let _ = tokio::time::timeout(BYE_TIME, said).await;
}
