//! How far a swarm is with what was pushed to it.

use freshet_protocol::{
    Announce, Base64, ClientMessage, ContentName, KeyId, PatchId, PatchRef, Pointer, Rollout, RootId,
    SigningKey,
};
use freshet_tracker::swarms::{Config, UPTAKES_MAX, Uptake};

use super::{SECOND_US, World, content, fetcher, root, seed};

const PUBLISHER: u64 = 1_000_000;

fn pointer(sequence: u64) -> Pointer {
    let name = |text: &str| text.parse().expect("name");
    Pointer {
        schema: 1,
        content: content(),
        channel: name("live"),
        sequence,
        expires: 9_999_999_999,
        root: RootId::of(b"new"),
        version: name("2.0"),
        trackers: Vec::new(),
        patches: vec![PatchRef { from: root(), patch: PatchId::of(b"patch") }],
        rollout: None,
        preload: None,
        unsealed: None,
        start_window_s: 0,
    }
}

fn push(world: &mut World, pointer: &Pointer) {
    let envelope = pointer.seal(&SigningKey::from_seed(&[1; 32])).expect("sealed");
    world.say(PUBLISHER, ClientMessage::Pointer { content: content(), pointer: Base64(envelope) });
}

/// So many peers that have the older release, and their publisher.
fn world(peers: u64) -> World {
    let publishers = [KeyId::of(&PUBLISHER.to_be_bytes())].into();
    let mut world = World::new(Config { publishers, ..Config::default() }, 1);
    (1..=peers).for_each(|n| world.join(n, seed(0)));
    world.connect(PUBLISHER);
    world
}

fn uptake(world: &World) -> Uptake {
    world.swarms.uptakes(world.now_us).pop().expect("it is watched")
}

/// What a peer announces that is on its way to the new release, by the patch or without it.
fn begun(n: u64) -> Announce {
    let root = if n.is_multiple_of(2) { RootId::of(b"new") } else { RootId(PatchId::of(b"patch").0) };
    Announce { root, ..fetcher(0) }
}

#[test]
fn half_and_all_but_one_of_a_hundred() {
    let mut world = world(200);
    assert!(world.swarms.uptakes(world.now_us).is_empty());
    push(&mut world, &pointer(7));
    let before = uptake(&world);
    assert_eq!((before.peers, before.started, before.done, before.started_50_ms), (200, 0, 0, None));
    assert_eq!((before.channel.as_str(), before.version.as_str()), ("live", "2.0"));
    for n in 1..=200 {
        world.advance(SECOND_US);
        world.announce(n, begun(n));
        // Said again, it is the same.
        world.announce(n, begun(n));
    }
    for n in 1..=198 {
        world.advance(SECOND_US);
        world.announce(n, Announce { left_bytes: 0, ..begun(n) });
        world.announce(n, Announce { left_bytes: 0, ..begun(n) });
    }
    let found = uptake(&world);
    assert_eq!(
        (found.started, found.started_50_ms, found.started_99_ms),
        (200, Some(100_000), Some(198_000))
    );
    assert_eq!((found.done, found.done_50_ms, found.done_99_ms), (198, Some(300_000), Some(398_000)));
    assert_eq!(found.age_ms, 398_000);
    // Pushed again it goes on; an older one changes nothing, and neither does what is no pointer.
    push(&mut world, &pointer(7));
    push(&mut world, &pointer(6));
    world.say(PUBLISHER, ClientMessage::Pointer { content: content(), pointer: Base64(vec![1]) });
    assert_eq!(uptake(&world), found);
    push(&mut world, &Pointer { root: RootId::of(b"newer"), patches: Vec::new(), ..pointer(8) });
    assert_eq!((uptake(&world).peers, uptake(&world).done), (200, 0));
}

#[test]
fn those_who_have_it_are_not_waited_for() {
    let mut world = world(10);
    (1..=4).for_each(|n| world.announce(n, Announce { left_bytes: 0, ..begun(n) }));
    push(&mut world, &pointer(1));
    assert_eq!(uptake(&world).peers, 6);
    // Who comes with all of it has begun and is done.
    world.join(11, Announce { left_bytes: 0, ..begun(11) });
    assert_eq!((uptake(&world).started, uptake(&world).done), (1, 1));
    // Whatever else is announced is not about this version.
    world.announce(5, Announce { root: RootId::of(b"other"), ..fetcher(0) });
    assert_eq!(uptake(&world).started, 1);
}

#[test]
fn peers_may_leave_while_they_change_over() {
    let mut world = world(2);
    push(&mut world, &pointer(1));
    (1..=2).for_each(|n| world.disconnect(n));
    world.advance(SECOND_US);
    (11..=12).for_each(|n| world.join(n, Announce { left_bytes: 0, ..begun(n) }));
    assert_eq!((uptake(&world).done, uptake(&world).done_99_ms), (2, Some(1000)));
}

#[test]
fn as_many_as_may_be_watched() {
    let mut world = world(0);
    for n in 0..=UPTAKES_MAX as u64 {
        let content: ContentName = format!("game/{n:04}").parse().expect("name");
        world.join(n, Announce { content: content.clone(), ..seed(0) });
        world.advance(1);
        let envelope =
            Pointer { content: content.clone(), ..pointer(1) }.seal(&SigningKey::from_seed(&[1; 32]));
        let pointer = Base64(envelope.expect("sealed"));
        world.say(PUBLISHER, ClientMessage::Pointer { content, pointer });
    }
    let watched = world.swarms.uptakes(world.now_us);
    assert_eq!(watched.len(), UPTAKES_MAX);
    assert_eq!(watched[0].content.as_str(), "game/0001", "the first one is forgotten");
}

#[test]
fn of_a_rollout_its_share_is_waited_for() {
    let mut world = world(30);
    let rollout = Rollout {
        permille: 100,
        root: RootId::of(b"newest"),
        version: "3.0".parse().expect("name"),
        patches: Vec::new(),
    };
    push(&mut world, &Pointer { rollout: Some(rollout), ..pointer(1) });
    assert_eq!((uptake(&world).peers, uptake(&world).version.as_str()), (3, "3.0"));
    world.announce(1, begun(2));
    assert_eq!(uptake(&world).started, 0, "that is what the others get");
    world.announce(2, Announce { root: RootId::of(b"newest"), ..fetcher(0) });
    world.announce(3, Announce { root: RootId::of(b"newest"), ..fetcher(0) });
    assert_eq!((uptake(&world).started, uptake(&world).started_50_ms), (2, Some(0)));
}
