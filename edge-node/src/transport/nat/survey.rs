//! One look at what lies between the socket and a STUN service, over one family of addresses: three requests, whose answers
//! tell the address outside, and how it was chosen (RFC 5780, 4.3 and 4.4).

use std::net::SocketAddr;
use std::time::Duration;

use freshet_protocol::stun::{self, BindingResponse, Transaction, Wish};
use freshet_protocol::{Base64, MappedAddress, Nat};
use tokio::time::Instant;

/// When requests are sent again that have no answer, after the first time.
const AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)];
/// How long the answer from the other port is waited for once the others are here.
const OTHER_PORT_WAIT: Duration = Duration::from_millis(50);
/// Unanswered by then, a request is not going to be.
const OVER: Duration = Duration::from_millis(1500);

/// A request, and what came of it.
#[derive(Debug)]
struct Asked {
    to: SocketAddr,
    wish: Wish,
    transaction: Transaction,
    answer: Option<BindingResponse>,
}

#[derive(Debug)]
pub(super) struct Survey {
    /// The socket's address on this machine, as it is towards the service.
    own: SocketAddr,
    began: Instant,
    /// Times that requests were sent.
    sent: usize,
    /// To the first port, to the second, and to the first for an answer from a third.
    asked: [Asked; 3],
    /// When the first two were both answered.
    mapped_at: Option<Instant>,
}

impl Survey {
    pub(super) fn new(
        now: Instant,
        own: SocketAddr,
        ports: [SocketAddr; 2],
        transactions: [Transaction; 3],
    ) -> Self {
        let [first, second] = ports;
        let [one, two, three] = transactions;
        let asked = |to, wish, transaction| Asked { to, wish, transaction, answer: None };
        let asked = [
            asked(first, Wish { proof: true, other_port: false }, one),
            asked(second, Wish::default(), two),
            asked(first, Wish { other_port: true, proof: false }, three),
        ];
        Self { own, began: now, sent: 0, asked, mapped_at: None }
    }

    /// Requests that are to be sent now.
    pub(super) fn requests(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.next_send().is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.sent += 1;
        let open = self.asked.iter().filter(|asked| asked.answer.is_none());
        open.map(|asked| (asked.to, stun::binding_request(asked.transaction, asked.wish))).collect()
    }

    /// When something is to be done or seen after `now`; none when nothing is.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let settles = self.mapped_at.map(|at| at + OTHER_PORT_WAIT).filter(|at| *at > now);
        let due = self.next_send().into_iter().chain(settles).chain([self.began + OVER]).min();
        due.filter(|_| !self.is_over(now))
    }

    fn next_send(&self) -> Option<Instant> {
        match self.sent {
            0 => Some(self.began),
            sent => AGAIN.get(sent - 1).map(|after| self.began + *after),
        }
    }

    /// Takes an answer, whether it is one to this.
    pub(super) fn answer(&mut self, now: Instant, response: &BindingResponse) -> bool {
        let asked = self.asked.iter_mut().find(|asked| asked.transaction == response.transaction);
        let Some(asked) = asked else { return false };
        asked.answer.get_or_insert_with(|| response.clone());
        if self.asked[0].answer.is_some() && self.asked[1].answer.is_some() {
            self.mapped_at.get_or_insert(now);
        }
        true
    }

    /// Whether what is known by now is worth telling, or nothing more is going to be.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let all = self.asked.iter().all(|asked| asked.answer.is_some());
        all || self.mapped_at.is_some_and(|at| now >= at + OTHER_PORT_WAIT) || self.is_over(now)
    }

    /// Whether nothing more is going to come.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.asked.iter().all(|asked| asked.answer.is_some()) || now >= self.began + OVER
    }

    /// What has been found; none where the service does not answer.
    pub(super) fn found(&self) -> Option<MappedAddress> {
        let [first, second, other] = self.asked.each_ref().map(|asked| asked.answer.as_ref());
        let BindingResponse { mapped, proof, .. } = first?;
        // Where the second port does not answer, the usual is assumed: one address towards all.
        let is_one = second.is_none_or(|second| second.mapped == *mapped);
        let nat = match (is_one, other.is_some()) {
            (false, _) => Nat::Symmetric,
            (true, false) => Nat::PortRestricted,
            (true, true) if *mapped == self.own => Nat::Open,
            (true, true) => Nat::AddressRestricted,
        };
        let proof = proof.map(|proof| Base64(proof.to_vec()))?;
        Some(MappedAddress { address: *mapped, nat, proof })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "192.168.1.2:7";

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    fn survey(now: Instant) -> Survey {
        let ports = [address("198.51.100.1:3478"), address("198.51.100.1:3479")];
        Survey::new(now, address(OWN), ports, [[1; 12], [2; 12], [3; 12]])
    }

    fn answer(survey: &mut Survey, now: Instant, number: u8, mapped: &str) {
        let proof = (number == 1).then_some([9; 24]);
        let response = BindingResponse { transaction: [number; 12], mapped: address(mapped), proof };
        assert!(survey.answer(now, &response));
    }

    #[test]
    fn behaviours() {
        let check = |answers: [Option<&str>; 3], expected: Option<Nat>| {
            let now = Instant::now();
            let mut survey = survey(now);
            assert_eq!(survey.requests(now).len(), 3);
            for (number, mapped) in (1..).zip(answers) {
                mapped.into_iter().for_each(|mapped| answer(&mut survey, now, number, mapped));
            }
            assert_eq!(survey.found().map(|found| found.nat), expected, "{answers:?}");
        };
        let (outside, other) = ("203.0.113.1:1001", "203.0.113.1:1002");
        check([Some(OWN), Some(OWN), Some(OWN)], Some(Nat::Open));
        check([Some(OWN), Some(OWN), None], Some(Nat::PortRestricted));
        check([Some(outside), Some(outside), Some(outside)], Some(Nat::AddressRestricted));
        check([Some(outside), Some(outside), None], Some(Nat::PortRestricted));
        check([Some(outside), Some(other), None], Some(Nat::Symmetric));
        check([Some(outside), Some(other), Some(outside)], Some(Nat::Symmetric));
        check([Some(outside), None, None], Some(Nat::PortRestricted));
        check([None, Some(outside), Some(outside)], None);
        check([None, None, None], None);
    }

    #[test]
    fn what_is_lost_is_sent_again_and_given_up() {
        let began = Instant::now();
        let mut survey = survey(began);
        let mut at = began;
        let mut sent = Vec::new();
        while let Some(due) = survey.due(at) {
            at = at.max(due);
            let requests = survey.requests(at);
            if !requests.is_empty() {
                sent.push((at - began, requests.len()));
            }
            if sent.len() == 2 {
                answer(&mut survey, at, 2, OWN);
            }
        }
        let expected = [(0, 3), (100, 3), (300, 2), (700, 2)];
        assert_eq!(sent, expected.map(|(ms, count)| (Duration::from_millis(ms), count)));
        assert_eq!(at - began, OVER);
        assert_eq!(survey.found(), None);
    }

    #[test]
    fn it_is_told_soon_and_corrected_later() {
        let began = Instant::now();
        let mut survey = survey(began);
        survey.requests(began);
        let later = began + Duration::from_millis(20);
        answer(&mut survey, later, 1, OWN);
        assert!(!survey.is_settled(later));
        answer(&mut survey, later, 2, OWN);
        assert!(!survey.is_settled(later));
        assert_eq!(survey.due(later), Some(later + OTHER_PORT_WAIT));
        let later = later + OTHER_PORT_WAIT;
        assert!(survey.is_settled(later) && !survey.is_over(later));
        assert_eq!(survey.found().map(|found| found.nat), Some(Nat::PortRestricted));
        answer(&mut survey, later, 3, OWN);
        assert!(survey.is_over(later));
        assert_eq!(survey.found().map(|found| found.nat), Some(Nat::Open));
        let stranger = BindingResponse { transaction: [7; 12], mapped: address(OWN), proof: None };
        assert!(!survey.answer(later, &stranger));
    }
}
