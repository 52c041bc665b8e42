//! Which of several trackers a peer turns to first: rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings
//! to Increase Hit Rates", 1998). Peers of one content come to the same tracker without asking anybody, contents spread over
//! all of them, and where one is gone only its contents move.

use crate::id::{ContentName, Hash};

/// The addresses of trackers in the order in which peers of a content try them.
pub fn rendezvous_order(content: &ContentName, trackers: &[String]) -> Vec<String> {
    let weighted = trackers.iter().map(|tracker| (weight(content, tracker), tracker));
    let mut order: Vec<(Hash, &String)> = weighted.collect();
    order.sort_unstable();
    order.into_iter().map(|(_, tracker)| tracker.clone()).collect()
}

fn weight(content: &ContentName, tracker: &str) -> Hash {
    Hash::of(format!("{content}\n{tracker}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trackers(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("wss://t{n}.example/")).collect()
    }

    fn contents() -> impl Iterator<Item = ContentName> {
        (0..1000).map(|n| format!("game/n{n}").parse().expect("name"))
    }

    #[test]
    fn contents_spread_evenly() {
        let all = trackers(4);
        for tracker in &all {
            let firsts = contents().filter(|content| rendezvous_order(content, &all)[0] == *tracker).count();
            assert!((200..300).contains(&firsts), "{tracker}: {firsts}");
        }
    }

    #[test]
    fn who_is_missing_changes_nothing_for_the_others() {
        let all = trackers(4);
        for content in contents() {
            let mut order = rendezvous_order(&content, &all);
            order.retain(|tracker| *tracker != all[2]);
            let rest = [&all[..2], &all[3..]].concat();
            assert_eq!(rendezvous_order(&content, &rest), order);
        }
    }

    #[test]
    fn the_order_they_are_named_in_does_not_matter() {
        let (content, mut all) = ("game/demo".parse().expect("name"), trackers(8));
        let order = rendezvous_order(&content, &all);
        all.reverse();
        assert_eq!(rendezvous_order(&content, &all), order);
    }
}
