//! When the origin must help, and why.
//!
//! Bulk jobs are held against a line: `slack x reference rate x elapsed`. Above it, peers come first and the origin gives
//! only first copies; below it, or when nothing moves, the origin helps at once. At `speed` the origin is one more source
//! throughout, within the share that its operator allows each job.

use crate::limits::{LONELY_US, SHARE_EVEN_PERMILLE, STALL_US, TRACKER_WAIT_US};
use crate::output::OriginReason;
use crate::policy::{Goal, Policy};

/// What is known of the tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracker {
    /// None is configured.
    None,
    /// One is configured and has not answered yet.
    Unheard,
    /// Answers.
    Up,
    /// Does not answer.
    Down,
}

/// Which chunks the origin should give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those granted by the tracker.
    Leased,
    /// In this peer's own order, leaving out what neighbours hold or fetch.
    OwnOrder,
    /// From the first to the last, in large ranges.
    Sequential,
    /// The rarest.
    Rarest,
}

/// What the governor asks of the origin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) choice: Choice,
    pub(crate) reason: OriginReason,
    /// About so many chunks, where it is not for the whole.
    pub(crate) most: u64,
}

/// What the governor looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) now: u64,
    pub(crate) tracker: Tracker,
    /// Whether there is no way to any peer.
    pub(crate) is_alone: bool,
    /// Whether any link could be asked.
    pub(crate) has_useful_link: bool,
    /// Whether requests to peers are out.
    pub(crate) has_requests: bool,
    /// Whether granted positions are left.
    pub(crate) has_lease: bool,
    /// How far this peer is ahead of its neighbours' mean, in thousandths of the release; none without neighbours.
    pub(crate) ahead_permille: Option<i64>,
    /// Bytes of the job that are here.
    pub(crate) got_bytes: u64,
    /// How many chunks may be asked for.
    pub(crate) asks_left: u64,
}

#[derive(Debug)]
pub(crate) struct Governor {
    started_us: u64,
    /// Bytes that were got before the start.
    before_bytes: u64,
    progress_us: u64,
    /// Last time that a peer could be asked.
    company_us: u64,
    active_jobs: u32,
    /// The origin's rate when it last gave what all jobs get from it, in bytes a second, and the number of jobs then. What
    /// it gives to those below the line says nothing: the others leave it to them.
    measured: Option<(u64, u32)>,
    budget_bytes_s: Option<u64>,
    /// Bytes that this job may still take beyond first copies, under its share of the budget.
    share_tokens: i64,
    share_us: u64,
}

impl Governor {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            started_us: now,
            before_bytes: 0,
            progress_us: now,
            company_us: now,
            active_jobs: 1,
            measured: None,
            budget_bytes_s: None,
            share_tokens: 0,
            share_us: now,
        }
    }

    /// All was there, and more is wanted now: the line begins anew.
    pub(crate) fn begin_again(&mut self, now: u64, got_bytes: u64) {
        self.started_us = now;
        self.progress_us = now;
        self.before_bytes = got_bytes;
    }

    /// The tracker's word about the swarm.
    pub(crate) fn swarm(&mut self, active_jobs: u32, budget_bytes_s: Option<u64>) {
        self.active_jobs = active_jobs.max(1);
        self.budget_bytes_s = budget_bytes_s;
    }

    /// Bytes came in from anywhere.
    pub(crate) fn progress(&mut self, now: u64) {
        self.progress_us = now;
    }

    /// Bytes came in from the origin, which were fetched for `reason`; its rate now.
    pub(crate) fn origin_progress(&mut self, now: u64, reason: OriginReason, bytes_s: Option<u64>) {
        self.progress(now);
        if reason != OriginReason::SlowPeers {
            self.measured = bytes_s.map(|rate| (rate, self.active_jobs)).or(self.measured);
        }
    }

    /// The origin is asked for `bytes`.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.share_tokens = self.share_tokens.saturating_sub_unsigned(bytes);
    }

    /// What the origin should give now, if anything.
    pub(crate) fn demand(&mut self, policy: &Policy, view: &View) -> Option<Demand> {
        let now = view.now;
        if view.has_useful_link {
            self.company_us = now;
        }
        let demand = |choice, reason| Some(Demand { choice, reason, most: view.asks_left });
        if !policy.p2p {
            return demand(Choice::Sequential, OriginReason::Policy);
        }
        if view.is_alone {
            return demand(Choice::Sequential, OriginReason::NoPeers);
        }
        if view.has_lease {
            return demand(Choice::Leased, OriginReason::FirstCopy);
        }
        let waits_for_tracker = view.tracker == Tracker::Unheard && now < self.started_us + TRACKER_WAIT_US;
        if waits_for_tracker {
            return None;
        }
        if now >= self.progress_us + STALL_US || self.is_below_line(policy, view) {
            let reason = if view.has_useful_link { OriginReason::SlowPeers } else { OriginReason::NoPeers };
            return demand(Choice::Rarest, reason);
        }
        if policy.goal == Goal::Speed && self.has_share(view) {
            let reason = if view.has_useful_link { OriginReason::Policy } else { OriginReason::NoPeers };
            return demand(Choice::Rarest, reason);
        }
        match view.tracker {
            // Without a tracker nobody spreads first copies: each peer takes its own order around its neighbours'.
            Tracker::None | Tracker::Unheard | Tracker::Down if view.has_useful_link => {
                demand(Choice::OwnOrder, OriginReason::FirstCopy)
            }
            Tracker::None | Tracker::Unheard | Tracker::Down => {
                demand(Choice::OwnOrder, OriginReason::NoPeers)
            }
            Tracker::Up if !policy.sharing && !view.has_useful_link && !view.has_requests => {
                demand(Choice::OwnOrder, OriginReason::NoPeers)
            }
            Tracker::Up if now >= self.company_us + LONELY_US => {
                demand(Choice::OwnOrder, OriginReason::NoPeers)
            }
            Tracker::Up => None,
        }
    }

    /// Whether the job is behind what HTTP alone would have done, by the slack that policy allows.
    fn is_below_line(&self, policy: &Policy, view: &View) -> bool {
        let elapsed_us = view.now.saturating_sub(self.started_us + STALL_US);
        let share = self.share_bytes_s().unwrap_or(u64::MAX);
        // What was measured when few jobs shared the origin is not what HTTP alone would give among many.
        let measured = self
            .measured
            .map(|(rate, jobs)| rate.saturating_mul(u64::from(jobs)) / u64::from(self.active_jobs));
        let most = policy.download_bytes_s_max.unwrap_or(u64::MAX).min(share);
        let reference = measured.unwrap_or(policy.reference_bytes_s_floor).min(most);
        let slack_permille = match policy.goal {
            Goal::Speed => 1000,
            Goal::Offload => policy.offload_slack_permille,
        };
        let line =
            u128::from(reference) * u128::from(elapsed_us) * u128::from(slack_permille) / 1_000_000_000;
        u128::from(view.got_bytes - self.before_bytes) < line
    }

    fn share_bytes_s(&self) -> Option<u64> {
        self.budget_bytes_s.map(|budget| budget / u64::from(self.active_jobs))
    }

    /// Whether the job's share of the origin has anything left; a quarter of a second may be saved up. Who is behind its
    /// neighbours gets up to twice its share of the budget and who is ahead leaves that to others, so that all end
    /// together: the crowd is done when its last member is.
    fn has_share(&mut self, view: &View) -> bool {
        let Some(share) = self.share_bytes_s() else { return true };
        let behind = -view.ahead_permille.unwrap_or(0);
        let weight = (SHARE_EVEN_PERMILLE + behind).clamp(0, 2 * SHARE_EVEN_PERMILLE) as u64;
        let share = share.saturating_mul(weight) / SHARE_EVEN_PERMILLE as u64;
        let earned = share.saturating_mul(view.now - self.share_us) / 1_000_000;
        if earned > 0 {
            let most = i64::try_from(share / 4).unwrap_or(i64::MAX);
            self.share_tokens = self.share_tokens.saturating_add_unsigned(earned).min(most);
            self.share_us = view.now;
        } else if weight == 0 {
            self.share_us = view.now;
        }
        self.share_tokens > 0
    }
}
