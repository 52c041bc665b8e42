//! The course of a run: starts nodes when the plan says, listens to all, and ends when the last one is done.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::account::{Account, OriginCounters};
use super::fault;
use super::network::{Network, WireReading, read_wire};
use super::node::Node;
use super::process::{Process, ProcessEvent};
use super::pulse::Pulse;
use super::schedule::{Step, schedule};
use super::series::Series;
use super::spending::Spending;
use super::stage::{Stage, Who};
use super::view::View;
use super::{LiveOptions, LiveOutcome, Release, Stop, verify};
use crate::lab::DelayReport;
use crate::plan::{Deed, Fault, Plan, Whom};

/// How often the run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The origin writes what it sent each second; after this, what it sent before has been written.
const ORIGIN_REPORTS_WITHIN: Duration = Duration::from_millis(1500);
/// How long programs may take to end when asked; then they are killed.
const END_WAIT: Duration = Duration::from_secs(5);

/// A run that goes on.
pub(super) struct Course<'a> {
    plan: &'a Plan,
    options: &'a LiveOptions,
    stage: Stage,
    nodes: Vec<Node>,
    /// Steps to take, by their time since `begun`.
    schedule: VecDeque<(Duration, Step)>,
    begun: Instant,
    looks: Interval,
    series: Series,
    spending: Spending,
    pulse: Pulse,
    failures: Vec<String>,
}

/// What was counted before the first node started.
#[derive(Debug, Default)]
struct Before {
    wire: Option<WireReading>,
    origin: OriginCounters,
}

impl<'a> Course<'a> {
    pub(super) fn new(plan: &'a Plan, options: &'a LiveOptions, stage: Stage) -> Self {
        let groups = plan.groups.iter().enumerate();
        let of_group =
            groups.flat_map(|(group, facts)| (0..facts.count).map(move |_| (group, facts.is_counted())));
        let nodes: Vec<Node> = of_group
            .enumerate()
            .map(|(number, (group, is_counted))| Node { number, group, is_counted, ..Node::default() })
            .collect();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            plan,
            options,
            series: Series::new(stage.network.meter()),
            spending: Spending::default(),
            pulse: Pulse::default(),
            stage,
            nodes,
            schedule: VecDeque::new(),
            begun: Instant::now(),
            looks,
            failures: Vec::new(),
        }
    }

    /// Runs to the end, whichever it is, and takes everything down.
    pub(super) async fn run(mut self, stop: &mut Stop, view: &mut dyn View) -> Result<LiveOutcome> {
        let driven = tokio::select! {
            driven = self.drive(view) => driven,
            () = stop.asked() => Err(anyhow::anyhow!("interrupted")),
        };
        view.close();
        let end_ms = self.now_ms();
        if driven.is_ok() {
            self.give_up_the_late();
        }
        self.end().await;
        let relay = std::mem::replace(&mut self.stage.network, Network::Loopback).finish();
        let (before, after) = driven?;
        self.account(&before, after, relay?, end_ms, view)
    }

    /// From the seeds to the last one done; returns what the lines had counted before and after.
    async fn drive(&mut self, view: &mut dyn View) -> Result<(Before, Option<WireReading>)> {
        let before = self.seed(view).await?;
        self.schedule = schedule(self.plan, &self.nodes, self.options.seed).into();
        self.begun = Instant::now();
        self.spending.begin(&self.stage, &self.nodes);
        self.series.begin(&self.nodes)?;
        let deadline = self.begun + Duration::from_secs(u64::from(self.plan.end_after_s));
        let is_over = |nodes: &[Node]| nodes.iter().filter(|node| node.is_counted).all(Node::is_settled);
        self.until(deadline, is_over, Some(view)).await?;
        self.look(view)?;
        Ok((before, self.read_wire()?))
    }

    /// Lets those nodes fetch the release that hold it from the start; that is not counted.
    async fn seed(&mut self, view: &mut dyn View) -> Result<Before> {
        let seeds: Vec<usize> = self
            .nodes
            .iter()
            .filter(|node| self.plan.groups[node.group].seed)
            .map(|node| node.number)
            .collect();
        if self.options.release == Release::Update {
            // What was sent for the older version is not of the run.
            sleep(ORIGIN_REPORTS_WITHIN).await;
        }
        if !seeds.is_empty() {
            view.say(&format!("{} nodes fetch the release beforehand", seeds.len()));
            self.schedule = seeds.iter().map(|&seed| (Duration::ZERO, Step::Start(seed))).collect();
            let deadline = Instant::now() + Duration::from_secs(u64::from(self.plan.end_after_s));
            let is_over = |nodes: &[Node]| seeds.iter().all(|&seed| nodes[seed].is_settled());
            self.until(deadline, is_over, None).await?;
            if let Some(seed) =
                seeds.iter().map(|&seed| &self.nodes[seed]).find(|seed| seed.finish_ms.is_none())
            {
                bail!(
                    "seed {} did not get the release: {}",
                    seed.number,
                    seed.failure.as_deref().unwrap_or("too late")
                );
            }
            sleep(ORIGIN_REPORTS_WITHIN).await;
            seeds.iter().for_each(|&seed| self.nodes[seed].sent_bytes_before = self.nodes[seed].sent_bytes);
        }
        Ok(Before { wire: self.read_wire()?, origin: OriginCounters::read(&self.stage.origin_report())? })
    }

    /// Takes what comes until `is_over`, or the deadline.
    async fn until(
        &mut self,
        deadline: Instant,
        is_over: impl Fn(&[Node]) -> bool,
        mut view: Option<&mut dyn View>,
    ) -> Result<()> {
        while !is_over(&self.nodes) {
            let step_at = self.schedule.front().map_or(deadline, |(at, _)| self.begun + *at);
            tokio::select! {
                event = self.stage.events.recv() => {
                    let (who, event) = event.expect("the stage holds a sender");
                    self.take(who, event)?;
                }
                () = sleep_until(step_at.min(deadline)) => {
                    if Instant::now() >= deadline {
                        return Ok(());
                    }
                    self.step()?;
                }
                _ = self.looks.tick() => {
                    if let Some(view) = &mut view {
                        self.look(*view)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let now_ms = self.now_ms();
        match self.schedule.pop_front() {
            Some((_, Step::Start(number))) => {
                self.nodes[number].start(&self.stage, self.plan, self.options, now_ms)
            }
            Some((_, Step::Leave(number))) => {
                self.nodes[number].leave();
                Ok(())
            }
            Some((_, Step::Fault(number))) => self.befall(&self.plan.faults[number], now_ms),
            None => Ok(()),
        }
    }

    /// Lets a fault come.
    fn befall(&mut self, what: &Fault, now_ms: f64) -> Result<()> {
        let counted = self.nodes.iter().filter(|node| node.is_counted).map(|node| node.number).collect();
        let order = fault::order(counted, self.options.seed);
        match (what.deed, what.who) {
            (Deed::CutOff | Deed::Lose | Deed::Rejoin, _) => {
                fault::lines(&self.stage.network, self.plan, what, &order)
            }
            (deed, Whom::Origin | Whom::Tracker | Whom::Broker) => fault::servers(self.plan, what)
                .into_iter()
                .try_for_each(|server| self.stage.befall(server, deed, self.plan)),
            (deed, Whom::Nodes) => fault::found(what, &order).into_iter().try_for_each(|number| match deed {
                Deed::Kill | Deed::Terminate => {
                    self.nodes[number].fall(deed);
                    Ok(())
                }
                Deed::Start if !self.nodes[number].is_running() => {
                    self.nodes[number].start(&self.stage, self.plan, self.options, now_ms)
                }
                Deed::FillDisk => self.nodes[number].disk()?.fill(),
                Deed::FreeDisk => self.nodes[number].disk()?.free(),
                Deed::Clock => fault::move_clock(&self.stage, number, what.seconds),
                Deed::Start | Deed::CutOff | Deed::Lose | Deed::Rejoin => Ok(()),
            }),
        }
    }

    fn look(&mut self, view: &mut dyn View) -> Result<()> {
        self.spending.read(&self.stage, &self.nodes);
        let now_ms = self.now_ms();
        self.pulse.look(now_ms, &self.stage, self.plan.trackers.count)?;
        let scene = self.series.look(now_ms, &self.nodes)?;
        view.show(&scene);
        Ok(())
    }

    /// Takes in what a process said or did.
    fn take(&mut self, who: Who, event: ProcessEvent) -> Result<()> {
        let now_ms = self.now_ms();
        match (who, event) {
            (Who::Node(number), ProcessEvent::Line(line)) => self.nodes[number].heard(&line, now_ms),
            (Who::Node(number), ProcessEvent::Ended(status)) => self.nodes[number].ended(status),
            (Who::Server(_), ProcessEvent::Line(_)) => {}
            (Who::Server(server), ProcessEvent::Ended(_)) => {
                let Some(process) = self.stage.server_mut(server) else { return Ok(()) };
                process.has_ended = true;
                if !process.is_meant_to_end {
                    bail!("{server} ended during the run; its last words:\n{}", process.last_words());
                }
            }
        }
        Ok(())
    }

    /// Jobs that are not done by now have failed.
    fn give_up_the_late(&mut self) {
        let seconds = self.plan.end_after_s;
        for node in self.nodes.iter_mut().filter(|node| node.is_counted && !node.is_settled()) {
            let percent = node.completion() * 100.0;
            node.failure = Some(format!(
                "node {} had {percent:.1} % when the plan's {seconds} s were over",
                node.number
            ));
            node.is_late = true;
        }
    }

    /// Ends all processes, the nodes first: they say goodbye to origin and tracker.
    async fn end(&mut self) {
        self.nodes.iter().filter_map(|node| node.process.as_ref()).for_each(Process::terminate);
        self.until_ended(|course| {
            course.nodes.iter().filter(|node| node.is_running()).filter_map(|n| n.process.as_ref()).collect()
        })
        .await;
        self.stage.servers().for_each(|(_, process)| process.terminate());
        self.until_ended(|course| {
            course.stage.servers().map(|(_, process)| process).filter(|process| !process.has_ended).collect()
        })
        .await;
    }

    /// Waits until no process is `left`; kills those that take too long.
    async fn until_ended(&mut self, left: impl Fn(&Self) -> Vec<&Process>) {
        let mut deadline = Instant::now() + END_WAIT;
        while !left(self).is_empty() {
            tokio::select! {
                event = self.stage.events.recv() => {
                    let (who, event) = event.expect("the stage holds a sender");
                    // A server that ends is what is wanted here.
                    let _ = self.take(who, event);
                }
                () = sleep_until(deadline) => {
                    left(self).into_iter().for_each(Process::kill);
                    deadline = Instant::now() + END_WAIT;
                }
            }
        }
    }

    fn read_wire(&self) -> Result<Option<WireReading>> {
        self.stage.network.meter().map(|meter| read_wire(&meter, self.plan)).transpose()
    }

    fn now_ms(&self) -> f64 {
        self.begun.elapsed().as_secs_f64() * 1000.0
    }

    fn account(
        mut self,
        before: &Before,
        after: Option<WireReading>,
        relay: Option<DelayReport>,
        end_ms: f64,
        view: &mut dyn View,
    ) -> Result<LiveOutcome> {
        view.say("comparing what was installed with what was published");
        let verified =
            verify::compare(self.options.verify, &self.stage.source, &self.stage.folder, &self.nodes)?;
        self.failures.extend(verified.faults);
        self.failures.extend(self.nodes.iter().filter_map(|node| node.failure.clone()));
        let origin = OriginCounters::read(&self.stage.origin_report())?.since(&before.origin);
        let account = Account {
            plan: self.plan,
            options: self.options,
            published: self.stage.published,
            nodes: &self.nodes,
            origin,
            wire: before.wire.clone().zip(after),
            spending: &self.spending,
            beats: self.pulse.into_beats(),
            series: self.series,
            relay,
            end_ms,
            verified_trees: verified.equal,
        };
        Ok(LiveOutcome { report: account.report(), failures: self.failures })
    }
}
