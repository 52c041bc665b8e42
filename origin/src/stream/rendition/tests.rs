//! What goes on, what begins anew, and what pages hold.

use freshet_protocol::{SigningKey, decode_entry_page};

use super::*;
use crate::stream::pieces::Cutter;

fn pieces(bytes: &str) -> Arc<Pieces> {
    let mut cutter = Cutter::new();
    cutter.push(bytes.as_bytes()).expect("small");
    Arc::new(cutter.finish())
}

fn listed(sequence: u64, bytes: &str) -> Listed {
    let pieces = (!bytes.is_empty()).then(|| pieces(bytes));
    Listed { sequence, path: format!("{sequence}.ts"), offset: 0, duration_us: 2, pieces, init: None }
}

fn with_init(listed: Listed, path: &str, bytes: &str) -> Listed {
    let init = ListedInit { path: path.to_owned(), offset: 0, pieces: Some(pieces(bytes)) };
    Listed { init: Some(Arc::new(init)), ..listed }
}

fn content() -> ContentName {
    "site/show".parse().expect("name")
}

/// Signs what is new; returns kind, sequence and initialisation of each entry.
fn enter(rendition: &mut Rendition, listing: &[Listed], now: u64) -> Vec<(SegmentKind, u64, Option<u64>)> {
    let key = SigningKey::from_seed(&[1; 32]);
    let mut made = Vec::new();
    for entry in rendition.unsigned(&content(), listing) {
        rendition.keep(&entry, entry.seal(&key).expect("good").into(), now);
        made.push((entry.place.kind, entry.place.sequence, entry.init));
    }
    made
}

/// A rendition with segments 64 to 66.
fn rendition() -> Rendition {
    let mut rendition = Rendition::new("a.m3u8".to_owned(), 1);
    enter(&mut rendition, &[listed(64, "a"), listed(65, "b"), listed(66, "c")], 100);
    rendition
}

#[test]
fn going_on_and_beginning_anew() {
    let check = |listing: &[Listed], expected: bool| {
        assert_eq!(rendition().continues(listing), expected, "{listing:?}");
    };
    check(&[], true);
    check(&[listed(66, "c"), listed(67, "d")], true);
    check(&[listed(66, ""), listed(67, "d")], true);
    check(&[listed(70, "d")], true);
    // One that lags, and one that begins before what there is.
    check(&[listed(63, "z"), listed(64, "a")], true);
    // Other bytes, another path or another part at a number.
    check(&[listed(66, "x")], false);
    check(&[listed(65, "b"), listed(66, "x"), listed(67, "d")], false);
    check(&[Listed { path: "y.ts".to_owned(), ..listed(66, "c") }], false);
    check(&[Listed { offset: 1, ..listed(66, "c") }], false);
    // Small numbers again.
    check(&[listed(0, "n"), listed(1, "m")], false);
    // The duration may be told more exactly later; the first word stays.
    check(&[Listed { duration_us: 3, ..listed(66, "c") }], true);
    assert!(Rendition::new("a.m3u8".to_owned(), 1).continues(&[listed(0, "n")]));
    let all = [64, 65, 66, 67].map(|n| listed(n, ""));
    assert!(rendition().is_within(&all) && !rendition().is_within(&all[..2]));
}

#[test]
fn only_what_is_new_is_signed() {
    use SegmentKind::{Init, Media};
    let mut rendition = rendition();
    let check =
        |rendition: &mut Rendition, listing: &[Listed], expected: &[(SegmentKind, u64, Option<u64>)]| {
            assert_eq!(enter(rendition, listing, 100), expected, "{listing:?}");
            assert_eq!(enter(rendition, listing, 100), [], "a second time");
        };
    check(&mut rendition, &[listed(66, "c"), listed(67, "d")], &[(Media, 67, None)]);
    let two = [with_init(listed(68, "e"), "i.mp4", "1"), with_init(listed(69, "f"), "i.mp4", "1")];
    check(&mut rendition, &two, &[(Init, 0, None), (Media, 68, Some(0)), (Media, 69, Some(0))]);
    // The same name with other bytes is another initialisation; what was signed before keeps its own.
    let other = [with_init(listed(69, "f"), "i.mp4", "2"), with_init(listed(70, "g"), "i.mp4", "2")];
    check(&mut rendition, &other, &[(Init, 1, None), (Media, 70, Some(1))]);
    check(&mut rendition, &[with_init(listed(71, "h"), "i.mp4", "1")], &[(Media, 71, Some(0))]);
}

#[test]
fn pages_hold_64_sequences_and_what_they_need() {
    let mut rendition = Rendition::new("a.m3u8".to_owned(), 1);
    let listing: Vec<_> =
        (0..130).map(|n| with_init(listed(n, "x"), &format!("i{}.mp4", n / 100), "1")).collect();
    enter(&mut rendition, &listing, 100);
    let check = |number: u64, expected: Option<usize>| {
        let page = rendition.page(number);
        let count = page.as_ref().map(|page| decode_entry_page(page).expect("a page").len());
        assert_eq!(count, expected, "{number}");
    };
    check(0, Some(64 + 1));
    check(1, Some(64 + 2));
    check(2, Some(2 + 1));
    check(3, None);
    check(u64::MAX, None);
    assert!(crate::stream::is_full_page(&rendition.page(1).expect("a page")));
    assert!(!crate::stream::is_full_page(&rendition.page(2).expect("a page")));
    assert_eq!(rendition.pages(), [0, 1, 2].into());
}

#[test]
fn the_newest_entry_and_the_last_initialisation_are_never_forgotten() {
    let mut rendition = rendition();
    enter(&mut rendition, &[with_init(listed(128, "x"), "i.mp4", "1")], 200);
    assert_eq!(rendition.forget(|known| known.path == "65.ts"), [1].into());
    assert!(!rendition.has(65, "65.ts", None) && rendition.has(66, "66.ts", None));
    assert_eq!(rendition.forget(|known| known.seen < 200), [1].into());
    assert_eq!(rendition.pages(), [2].into());
    assert_eq!(rendition.forget(|_| true), [].into());
    assert!(rendition.has(128, "128.ts", None) && rendition.has_init("i.mp4", None));
    assert!(!rendition.continues(&[listed(0, "n")]), "numbers are still known");
    rendition.see(&[listed(128, "")], 300);
    assert_eq!(rendition.len(), 1);
}
