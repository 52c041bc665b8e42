//! Entries of streams and pointers reach everybody in the swarm, from their publisher alone.

use freshet_protocol::{Base64, ClientMessage, KeyId, ServerMessage};
use freshet_tracker::swarms::{Config, Output};

use super::{World, content, fetcher};

/// Who was sent what since the last call: entries by their bytes, refusals by their code.
fn sent(world: &mut World) -> Vec<(u64, String)> {
    let told = |output| match output {
        Output::Send { client, message: ServerMessage::Entry { entry, .. } } => {
            Some((client.get(), format!("{:?}", entry.0)))
        }
        Output::Send { client, message: ServerMessage::Pointer { pointer, .. } } => {
            Some((client.get(), format!("pointer {:?}", pointer.0)))
        }
        Output::Send { client, message: ServerMessage::Error { code, .. } } => Some((client.get(), code)),
        _ => None,
    };
    world.outputs.drain(..).filter_map(told).collect()
}

#[test]
fn only_a_publisher_is_heard() {
    let publishers = [KeyId::of(&9_u64.to_be_bytes())].into();
    let mut world = World::new(Config { publishers, ..Config::default() }, 1);
    (1..4).for_each(|n| world.join(n, fetcher(0)));
    world.connect(9);
    let entry = |name: &str| ClientMessage::Entry {
        content: name.parse().expect("a good name"),
        entry: Base64(vec![7]),
    };
    world.outputs.clear();
    world.say(9, entry(content().as_str()));
    assert_eq!(sent(&mut world), [1, 2, 3].map(|n| (n, "[7]".to_owned())));
    world.say(9, ClientMessage::Pointer { content: content(), pointer: Base64(vec![8]) });
    assert_eq!(sent(&mut world), [1, 2, 3].map(|n| (n, "pointer [8]".to_owned())));
    world.say(9, entry("site/nobody-is-here"));
    assert_eq!(sent(&mut world), []);
    world.say(1, entry(content().as_str()));
    assert_eq!(sent(&mut world), [(1, "not-a-publisher".to_owned())]);
    world.disconnect(9);
    world.say(9, entry(content().as_str()));
    assert_eq!(sent(&mut world), []);
}
