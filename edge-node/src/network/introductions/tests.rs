//! Peers that meet through others, and those that must not.

use freshet_protocol::limits::PEERS_MAX;
use freshet_protocol::{Base64, Nat, PeerId, Placed, RIGHT_RECEIVE, SigningKey, SwarmId, Ticket};

use super::tries::{COOL_TIME, RUNNING_MAX, STARTS_PER_ADDRESS_MAX};
use super::*;

/// Tickets are signed at 0 and end then; it is judged at `GRACE` at the latest.
const EXPIRES: u64 = 600;
const GRACE: u64 = 6 * 60 * 60;

fn tracker() -> SigningKey {
    SigningKey::from_seed(&[100; 32])
}

fn swarm() -> SwarmId {
    SwarmId::of(b"swarm")
}

/// A node with its ticket.
struct Node {
    key: PublicKey,
    ticket: Vec<u8>,
    address: SocketAddr,
    mapped: Vec<Placed>,
    banned: Vec<KeyId>,
    /// The time by which tickets are judged.
    now_s: u64,
    introductions: Introductions,
}

impl Own for Node {
    fn party(&self, pair: u64) -> Option<Party> {
        let (ticket, mapped) = (Base64(self.ticket.clone()), self.mapped.clone());
        Some(Party { pair, key: self.key, ticket, mapped, local: Vec::new() })
    }

    fn admits(&self, key: &PublicKey, ticket: &[u8]) -> bool {
        let ticket = Ticket::open(ticket, &[tracker().public()]);
        let is_good = |ticket: Ticket| ticket.check(key, swarm(), self.now_s, GRACE).is_ok();
        ticket.is_ok_and(is_good) && !self.banned.contains(&key.id())
    }
}

fn ticket(key: KeyId, swarm: SwarmId) -> Vec<u8> {
    let (peer, rights) = (PeerId::try_from(7).expect("small"), RIGHT_RECEIVE);
    Ticket { peer, key, issued: 0, expires: EXPIRES, rights, swarms: vec![swarm] }.seal(&tracker())
}

impl Node {
    fn new(seed: u8, start: Instant) -> Self {
        let key = SigningKey::from_seed(&[seed; 32]).public();
        Self {
            key,
            ticket: ticket(key.id(), swarm()),
            address: SocketAddr::from(([203, 0, 113, seed], 4433)),
            mapped: Vec::new(),
            banned: Vec::new(),
            now_s: EXPIRES,
            introductions: Introductions::new(key.id(), start),
        }
    }

    fn id(&self) -> KeyId {
        self.key.id()
    }

    fn linked(&mut self, now: Instant, link: u64, other: &Self) {
        self.linked_over(now, link, other, Transport::Quic);
    }

    fn linked_over(&mut self, now: Instant, link: u64, other: &Self, transport: Transport) {
        let peer = PeerInfo {
            key: other.id(),
            peer: PeerId::try_from(7).expect("small"),
            pair: None,
            transport,
            address: other.address,
            rtt: Duration::from_millis(1),
            link_time: None,
            locality: Locality::Any,
            introduces: true,
            agent: String::new(),
        };
        self.introductions.link_up(now, LinkId(link), &peer);
    }

    /// The introductions apart from what they ask about, as they are in a node.
    fn with(&mut self, what: impl FnOnce(&mut Introductions, &Self) -> Vec<Act>) -> Vec<Act> {
        let placeholder = Introductions::new(self.id(), Instant::now());
        let mut introductions = std::mem::replace(&mut self.introductions, placeholder);
        let acts = what(&mut introductions, self);
        self.introductions = introductions;
        acts
    }

    fn look(&mut self, now: Instant, missing: usize) -> Vec<Act> {
        self.with(|introductions, own| introductions.look(now, missing, own))
    }

    fn hear(&mut self, now: Instant, link: u64, frame: &Frame) -> Vec<Act> {
        self.with(|introductions, own| introductions.frame(now, LinkId(link), frame, own))
    }
}

/// X and Y, both linked with Z: at X and Y by link 0, at Z by links 1 and 2.
struct Trio {
    now: Instant,
    x: Node,
    y: Node,
    z: Node,
}

impl Trio {
    fn new() -> Self {
        let start = Instant::now();
        let [mut x, mut y, mut z] = [1, 2, 3].map(|seed| Node::new(seed, start));
        x.linked(start, 0, &z);
        y.linked(start, 0, &z);
        z.linked(start, 1, &x);
        z.linked(start, 2, &y);
        Self { now: start + ALONE_TIME, x, y, z }
    }

    /// X asks whom Z knows, and then for Y: the signal that it gives to Z.
    fn x_asks(&mut self) -> Frame {
        let acts = self.x.look(self.now, 3);
        let [Act::Send(LinkId(0), question)] = &acts[..] else { panic!("{acts:?}") };
        let acts = self.z.hear(self.now, 1, question);
        let [Act::Send(LinkId(1), answer)] = &acts[..] else { panic!("{acts:?}") };
        assert_eq!(*answer, Frame::Peers { asks: false, keys: vec![self.y.id()] });
        assert_eq!(self.x.hear(self.now, 0, answer), []);
        self.now += LOOK_EVERY;
        only_send(self.x.look(self.now, 3), 0)
    }

    /// All the way: what X and Y do, where they come to terms.
    fn introduce(&mut self) -> (Option<Act>, Vec<Act>) {
        let asked = self.x_asks();
        let passed_on = only_send(self.z.hear(self.now, 1, &asked), 2);
        let mut acts = self.y.hear(self.now, 0, &passed_on);
        let of_y = acts.pop();
        let Some(Act::Send(LinkId(0), answer)) = acts.pop() else { return (of_y, Vec::new()) };
        let passed_on = only_send(self.z.hear(self.now, 2, &answer), 1);
        (of_y, self.x.hear(self.now, 0, &passed_on))
    }
}

fn only_send(acts: Vec<Act>, link: u64) -> Frame {
    match <[Act; 1]>::try_from(acts) {
        Ok([Act::Send(on, frame)]) if on == LinkId(link) => frame,
        other => panic!("{other:?}"),
    }
}

fn place(address: SocketAddr) -> Vec<Candidate> {
    vec![Candidate { transport: Transport::Quic, address }]
}

#[test]
fn two_peers_meet_through_a_third() {
    let mut trio = Trio::new();
    let (of_y, of_x) = trio.introduce();
    let [Act::Dial(by_x)] = &of_x[..] else { panic!("{of_x:?}") };
    let Some(Act::Expect(by_y)) = of_y else { panic!("{of_y:?}") };
    assert_eq!(by_x.pair, by_y.pair, "their probes carry one number");
    assert!(by_x.pair >= INTRODUCED_PAIRS_MIN);
    assert_eq!((by_x.key, &by_x.candidates), (trio.y.id(), &place(trio.y.address)));
    assert_eq!((by_y.key, &by_y.candidates), (trio.x.id(), &place(trio.x.address)));
    assert_eq!(by_x.locality, Locality::Any);
    // Once they are linked there is nobody left to meet.
    let Trio { now, mut x, y, .. } = trio;
    x.linked(now, 1, &y);
    let acts = x.look(now + ASK_EVERY, 3);
    assert!(acts.iter().all(|act| matches!(act, Act::Send(_, Frame::Peers { .. }))), "{acts:?}");
}

#[test]
fn who_is_behind_a_symmetric_nat_dials() {
    let mut trio = Trio::new();
    trio.y.mapped = vec![Placed { address: trio.y.address, nat: Nat::Symmetric }];
    assert_eq!(trio.introduce(), (None, Vec::new()), "with one behind a port-restricted NAT it cannot");
    let mut trio = Trio::new();
    trio.y.mapped = vec![Placed { address: trio.y.address, nat: Nat::Symmetric }];
    trio.x.mapped = vec![Placed { address: trio.x.address, nat: Nat::AddressRestricted }];
    let (of_y, of_x) = trio.introduce();
    assert!(matches!((&of_y, &of_x[..]), (Some(Act::Dial(_)), [Act::Expect(_)])), "{of_y:?} {of_x:?}");
}

#[test]
fn trackers_come_first() {
    let mut trio = Trio::new();
    trio.x.introductions.tracker_up();
    assert_eq!(trio.x.introductions.due(), None);
    assert_eq!(trio.x.look(trio.now, 3), []);
    trio.x.introductions.tracker_down(trio.now);
    trio.x.introductions.tracker_down(trio.now + ALONE_TIME / 2);
    assert_eq!(trio.x.introductions.due(), Some(trio.now + ALONE_TIME));
    assert_eq!(trio.x.look(trio.now + ALONE_TIME / 2, 3), []);
    assert_eq!(trio.x.look(trio.now + ALONE_TIME, 0), [], "and who has enough links asks nobody");
    assert_eq!(trio.x.look(trio.now + ALONE_TIME, 3).len(), 1);
    // Who has a tracker answers who has none.
    let mut trio = Trio::new();
    trio.y.introductions.tracker_up();
    trio.z.introductions.tracker_up();
    assert!(matches!(&trio.introduce().1[..], [Act::Dial(_)]));
}

#[test]
fn who_may_not_link_is_not_answered() {
    let check = |change: &dyn Fn(&mut Trio), is_met: bool| {
        let mut trio = Trio::new();
        change(&mut trio);
        let (of_y, of_x) = trio.introduce();
        assert_eq!((of_y.is_some(), of_x.len()), (is_met, usize::from(is_met)), "{of_y:?} {of_x:?}");
    };
    check(&|_| {}, true);
    check(&|trio| trio.y.now_s = EXPIRES + GRACE - 1, true);
    check(&|trio| trio.y.now_s = EXPIRES + GRACE, false);
    check(&|trio| trio.y.banned = vec![trio.x.id()], false);
    check(&|trio| trio.x.ticket = ticket(trio.x.id(), SwarmId::of(b"other")), false);
    check(&|trio| trio.x.ticket = trio.y.ticket.clone(), false);
    check(&|trio| trio.x.ticket = Vec::new(), false);
    check(&|trio| trio.x.key = SigningKey::from_seed(&[9; 32]).public(), false);
    // The same of the one who was asked: it expects X, which does not come.
    let of_asked = |change: &dyn Fn(&mut Trio)| {
        let mut trio = Trio::new();
        change(&mut trio);
        assert_eq!(trio.introduce().1, []);
    };
    of_asked(&|trio| trio.x.now_s = EXPIRES + GRACE);
    of_asked(&|trio| trio.x.banned = vec![trio.y.id()]);
    of_asked(&|trio| trio.y.ticket = Vec::new());
}

#[test]
fn signals_are_passed_on_once_between_own_peers() {
    let mut trio = Trio::new();
    let signal = |key, seen| Frame::Signal { key, seen, data: b"anything".to_vec() };
    let (now, x, y, z) = (trio.now, trio.x.id(), trio.y.id(), trio.z.id());
    let check = |z_node: &mut Node, link: u64, to: KeyId, expected: Option<u64>| {
        let acts = z_node.hear(now, link, &signal(to, None));
        let links = acts.iter().filter_map(|act| match act {
            Act::Send(link, _) => Some(link.0),
            Act::Dial(_) | Act::Expect(_) => None,
        });
        assert!(links.eq(expected), "{acts:?}");
    };
    check(&mut trio.z, 1, y, Some(2));
    check(&mut trio.z, 2, x, Some(1));
    check(&mut trio.z, 1, x, None);
    check(&mut trio.z, 1, z, None);
    check(&mut trio.z, 1, KeyId(freshet_protocol::Hash([9; 32])), None);
    check(&mut trio.z, 7, y, None);
    let passed_on = only_send(trio.z.hear(now, 1, &signal(y, None)), 2);
    let seen = Some(Seen { address: trio.x.address, is_near: false });
    assert_eq!(passed_on, signal(x, seen));
    // What was passed on goes no further, whomever it names.
    assert_eq!(trio.z.hear(now, 1, &signal(y, seen)), []);
    // Over another transport its address is that of another socket.
    let start = Instant::now();
    let mut relay = Node::new(4, start);
    relay.linked(start, 1, &trio.x);
    relay.linked_over(start, 2, &trio.y, Transport::WebRtc);
    assert_eq!(relay.hear(now, 1, &signal(y, None)), []);
    assert_eq!(relay.hear(now, 2, &signal(x, None)), []);
    let question = Frame::Peers { asks: true, keys: Vec::new() };
    let none = Frame::Peers { asks: false, keys: Vec::new() };
    assert_eq!(only_send(relay.hear(now, 1, &question), 1), none);
}

#[test]
fn floods_are_not_passed_on() {
    let mut trio = Trio::new();
    let signal = Frame::Signal { key: trio.y.id(), seen: None, data: vec![0; 4096] };
    let passed_on: usize = (0..10_000).map(|_| trio.z.hear(trio.now, 1, &signal).len()).sum();
    assert_eq!(passed_on, SIGNALS_BURST as usize);
    let question = Frame::Peers { asks: true, keys: Vec::new() };
    let answers: usize = (0..10_000).map(|_| trio.z.hear(trio.now, 1, &question).len()).sum();
    assert_eq!(answers, 1);
    assert_eq!(trio.z.hear(trio.now + TELL_EVERY, 1, &question).len(), 1);
}

#[test]
fn both_ask_at_once_and_meet_once() {
    let mut trio = Trio::new();
    let of_x = trio.x_asks();
    let pair = new_pair();
    let to_x = |trio: &mut Trio| {
        let party = trio.y.party(pair).expect("it has a ticket");
        let data = Introduction::Meet(party).encode();
        let seen = Some(Seen { address: trio.y.address, is_near: false });
        trio.x.hear(trio.now, 0, &Frame::Signal { key: trio.y.id(), seen, data })
    };
    let is_smaller = trio.x.id() < trio.y.id();
    let acts = to_x(&mut trio);
    assert_eq!(acts.is_empty(), is_smaller, "{acts:?}");
    // The other's view: Y has asked X as well.
    let asked = Frame::Peers { asks: false, keys: vec![trio.x.id()] };
    assert_eq!(trio.y.hear(trio.now, 0, &asked), []);
    assert_eq!(trio.y.look(trio.now, 3).len(), 2, "a question to Z, and one to X");
    let to_y = only_send(trio.z.hear(trio.now, 1, &of_x), 2);
    let acts = trio.y.hear(trio.now, 0, &to_y);
    assert_eq!(acts.is_empty(), !is_smaller, "{acts:?}");
}

#[test]
fn answers_count_once_and_from_whom_they_were_asked() {
    let mut trio = Trio::new();
    let Frame::Signal { data, .. } = trio.x_asks() else { unreachable!("it is one") };
    let Ok(Introduction::Meet(asked)) = Introduction::decode(&data) else { unreachable!("it is one") };
    let now = trio.now;
    let said = |from: &Node, pair: u64| {
        let party = from.party(pair).expect("it has a ticket");
        let seen = Some(Seen { address: from.address, is_near: false });
        Frame::Signal { key: from.id(), seen, data: Introduction::Met(party).encode() }
    };
    let stranger = Node::new(8, now);
    trio.x.linked(now, 9, &stranger);
    let mallory = Node::new(7, now);
    assert_eq!(trio.x.hear(now, 0, &said(&mallory, asked.pair)), [], "another than was asked");
    assert_eq!(trio.x.hear(now, 0, &said(&trio.y, asked.pair ^ 1)), [], "another pairing");
    assert_eq!(trio.x.hear(now, 9, &said(&trio.y, asked.pair)), [], "through another");
    assert_eq!(trio.x.hear(now, 0, &said(&trio.y, asked.pair)).len(), 1);
    assert_eq!(trio.x.hear(now, 0, &said(&trio.y, asked.pair)), [], "a second time");
    let late = now + Duration::from_secs(3600);
    assert_eq!(trio.x.hear(late, 0, &said(&trio.y, asked.pair)), []);
}

#[test]
fn invented_addresses_are_hardly_written_to() {
    let start = Instant::now();
    let (mut x, evil) = (Node::new(1, start), Node::new(2, start));
    x.linked(start, 0, &evil);
    let victim = SocketAddr::from(([198, 51, 100, 7], 53));
    // It has as many keys with good tickets as it likes, and says that all of them are at one address.
    let sybils: Vec<Node> = (100..=250).map(|seed| Node::new(seed, start)).collect();
    let mut written = 0;
    let mut now = start + ALONE_TIME;
    for round in 0..600 {
        let said = |sybil: &Node, said: Introduction| {
            let seen = Some(Seen { address: victim, is_near: round % 2 == 1 });
            Frame::Signal { key: sybil.id(), seen, data: said.encode() }
        };
        let named: Vec<&Node> = sybils.iter().cycle().skip(round * 7).take(PEERS_MAX).collect();
        let keys = named.iter().map(|sybil| sybil.id()).collect();
        x.hear(now, 0, &Frame::Peers { asks: false, keys });
        let mut acts = x.look(now, 8);
        let asked: Vec<Frame> = acts
            .drain(..)
            .map(|act| match act {
                Act::Send(_, frame) => frame,
                other => panic!("{other:?}"),
            })
            .collect();
        for frame in asked {
            let Frame::Signal { key, data, .. } = frame else { continue };
            let Ok(Introduction::Meet(party)) = Introduction::decode(&data) else { panic!("it asks") };
            let sybil = sybils.iter().find(|sybil| sybil.id() == key).expect("it was named");
            let answer = Introduction::Met(sybil.party(party.pair).expect("it has a ticket"));
            acts.extend(x.hear(now, 0, &said(sybil, answer)));
        }
        for sybil in &named {
            let asks = Introduction::Meet(sybil.party(new_pair()).expect("it has a ticket"));
            acts.extend(x.hear(now, 0, &said(sybil, asks)));
        }
        for act in acts {
            if let Act::Dial(meeting) | Act::Expect(meeting) = act {
                assert_eq!(meeting.candidates, place(victim));
                x.introductions.failed(meeting.pair);
                written += 1;
            }
        }
        assert!(x.introductions.tries.running() <= RUNNING_MAX);
        now += LOOK_EVERY;
    }
    let windows = 600 / COOL_TIME.as_secs() as usize;
    assert!(written >= STARTS_PER_ADDRESS_MAX, "the test reaches the bound");
    assert!(written <= windows * STARTS_PER_ADDRESS_MAX, "{written} in 10 minutes");
}

#[test]
fn names_are_few() {
    let start = Instant::now();
    let (mut z, asker) = (Node::new(1, start), Node::new(2, start));
    z.linked(start, 0, &asker);
    for seed in 10..40 {
        z.linked(start, u64::from(seed), &Node::new(seed, start));
    }
    let question = Frame::Peers { asks: true, keys: Vec::new() };
    let Frame::Peers { asks: false, keys } = only_send(z.hear(start, 0, &question), 0) else {
        panic!("an answer")
    };
    assert_eq!(keys.len(), PEERS_MAX);
    assert!(!keys.contains(&asker.id()));
}
