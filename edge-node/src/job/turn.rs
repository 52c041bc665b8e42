//! The job's loop: waits for whatever happens next, tells the core, carries out what it says, and ends.

use std::time::Duration;

use freshet_protocol::ServerMessage;
use freshet_swarm::Input;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::sleep_until;
use crate::job::{Job, Phase, SeedFor};
use crate::network::Network;
use crate::node::GetError;
use crate::store::install;
use crate::tracker_client::TrackerEvent;
use crate::transport::TransportEvent;

/// Longest time that what was fetched last may take to reach the disk when the job ends.
const WIND_DOWN_MAX: Duration = Duration::from_millis(1200);
/// How often the job looks at its own state beside the core's times.
const TICK: Duration = Duration::from_millis(250);

impl Job {
    pub(super) async fn turn_until_over(&mut self) -> Result<(), GetError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.begin();
        loop {
            self.carry_out()?;
            self.derive_next();
            if self.advance()? {
                return Ok(());
            }
            let has_room = self.content.has_room();
            let core_due = self.core.poll_timeout().map(|us| self.clock.at(us));
            let announce_due = self.network.as_ref().and_then(Network::due);
            let (links, tracker) = match &mut self.network {
                Some(network) => (Some(&mut network.transport_events), Some(&mut network.tracker_events)),
                None => (None, None),
            };
            let (asks, copies) = self.readers.inputs();
            let told = self.channel_watch.as_mut().map(|watch| &mut watch.pointers);
            tokio::select! {
                () = self.config.stop.cancelled() => return self.stopped(),
                Some(event) = self.store_events.recv() => self.store_event(event)?,
                Some(event) = self.run_events.recv(), if has_room => self.run_event(event)?,
                Some(derived) = self.deriving.results.recv() => self.derived(derived),
                Some(read) = self.read_backs.recv() => self.read_back(read)?,
                event = next(links), if has_room => self.network_event(event),
                event = next(tracker) => self.tracker_event(event),
                pointer = next(told) => self.told(&pointer),
                ask = next(asks) => self.asked_by_reader(ask),
                Some(copied) = copies.recv(), if has_room => self.copied(copied),
                Ok(()) = self.config.policies.changed() => self.policy_changed(),
                () = sleep_until(announce_due) => self.announce(),
                result = finished(&mut self.phase) => self.install_ended(result)?,
                () = sleep_until(core_due) => self.core.handle_timeout(self.clock.now_us()),
                _ = tick.tick() => self.tick()?,
            }
        }
    }

    /// Hands the core what happened before it was there.
    fn begin(&mut self) {
        let Some(network) = &mut self.network else { return };
        let early = std::mem::take(&mut network.early);
        let is_tracker_up = network.is_tracker_up();
        if is_tracker_up {
            // The tracker must know of this peer before it is asked for shards.
            self.announce();
            self.tell_of_tracker(Input::TrackerUp);
        }
        early.into_iter().for_each(|event| self.link_event(event));
    }

    fn network_event(&mut self, event: TransportEvent) {
        let input = self.network.as_mut().and_then(|network| network.transport_event(&event));
        self.of_tracker(input);
        self.link_event(event);
    }

    fn tracker_event(&mut self, event: TrackerEvent) {
        if let TrackerEvent::Message(ServerMessage::Pointer { pointer, .. }) = &event {
            return self.told(&pointer.0);
        }
        let input = self.network.as_mut().and_then(|network| network.tracker_event(event));
        self.of_tracker(input);
    }

    /// Something about the tracker is to be told to the core, or nothing.
    fn of_tracker(&mut self, input: Option<Input>) {
        let Some(input) = input else { return };
        if input == Input::TrackerUp {
            self.announce();
        }
        self.tell_of_tracker(input);
    }

    /// For readers, who want a little at a time, the core takes no part in spreading first copies.
    fn tell_of_tracker(&mut self, input: Input) {
        if !matches!(self.phase, Phase::Reading) {
            self.tell(input);
        }
    }

    /// Takes a pointer from the origin or the tracker.
    fn told(&mut self, pointer: &[u8]) {
        if let Err(error) = self.pointer(pointer) {
            tracing::warn!(%error, "the channel's new pointer is of no use");
        }
    }

    fn policy_changed(&mut self) {
        self.config.policy = *self.config.policies.borrow_and_update();
        self.tell(Input::Policy(self.config.policy));
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.core.handle_input(self.clock.now_us(), input);
    }

    /// Goes on to the next phase where this one is over; whether the job is.
    fn advance(&mut self) -> Result<bool, GetError> {
        match &self.phase {
            Phase::Fetching if !self.core.is_complete() || !self.deriving.is_done() => Ok(false),
            Phase::Fetching if self.preloading.laid.is_some() => self.end_preload().map(|()| false),
            Phase::Fetching if self.content.rest() => {
                self.progress.fetched();
                self.start_install();
                Ok(false)
            }
            Phase::Reading | Phase::Fetching | Phase::Installing(_) => Ok(false),
            Phase::Sharing(until) => Ok(until.is_some_and(|until| until <= Instant::now())),
        }
    }

    fn start_install(&mut self) {
        let files = self.content.files.clone();
        let installed = self.config.installed.take();
        let placing = self.config.placing.clone();
        let run = move || install(&files, &placing, installed.as_ref());
        self.phase = Phase::Installing(tokio::task::spawn_blocking(run));
    }

    fn install_ended(
        &mut self,
        result: Result<Vec<std::path::PathBuf>, crate::store::InstallError>,
    ) -> Result<(), GetError> {
        // The task is over, even where it failed.
        self.phase = Phase::Fetching;
        let moved_aside = result?;
        self.progress.installed(moved_aside, &self.config.events);
        self.share();
        Ok(())
    }

    /// All is here: from now on it is shared, for as long as asked.
    pub(super) fn share(&mut self) {
        self.standing_changed();
        self.phase = Phase::Sharing(match self.config.seed_for {
            // A time beyond the clock's end is as good as forever.
            SeedFor::Time(time) => Instant::now().checked_add(time),
            SeedFor::Forever => None,
        });
        self.tell_preload();
    }

    fn stopped(&self) -> Result<(), GetError> {
        match self.phase {
            Phase::Sharing(_) => Ok(()),
            Phase::Reading | Phase::Fetching | Phase::Installing(_) => Err(GetError::Stopped),
        }
    }

    fn tick(&mut self) -> Result<(), GetError> {
        if self.content.checkpoint_due().is_some_and(|due| due <= Instant::now()) {
            self.content.start_checkpoint();
        }
        if !self.core.is_complete() {
            self.origin_watch.check(self.links.count())?;
        }
        self.tell_preload();
        self.tell_news();
        self.report_progress();
        Ok(())
    }

    /// Breaks off what runs, and brings what was fetched to disk.
    pub(super) async fn wind_down(&mut self, result: Result<(), GetError>) -> Result<(), GetError> {
        std::mem::take(&mut self.fetches).into_values().for_each(|task| task.abort());
        let mut network = self.network.take();
        let goodbye = async {
            if let Some(network) = &mut network {
                network.close().await;
            }
        };
        let (settled, ()) = tokio::join!(tokio::time::timeout(WIND_DOWN_MAX, self.settle()), goodbye);
        let is_installed = matches!(self.phase, Phase::Sharing(_));
        let result = match (result, settled) {
            // The install was under way when the word to stop came, and is done.
            (Err(GetError::Stopped), _) if is_installed => Ok(()),
            // The first error is the one to tell.
            (Err(error), _) => Err(error),
            (Ok(()), Ok(settled)) => settled,
            (Ok(()), Err(_)) => Ok(()),
        };
        if let Some(writers) = self.content.take_writers() {
            self.store_events.close();
            let ended = tokio::task::spawn_blocking(move || writers.finish());
            // A disk that hangs must not keep the process; what it lost is hashed and fetched again next time.
            let _ = tokio::time::timeout(WIND_DOWN_MAX, ended).await;
        }
        if matches!(self.phase, Phase::Sharing(_)) {
            // Nobody asks for deltas any more.
            let _ = std::fs::remove_dir_all(self.content.files.layout.own("deltas"));
        }
        result
    }

    async fn settle(&mut self) -> Result<(), GetError> {
        if let Phase::Installing(task) = &mut self.phase {
            let result = task.await.expect("the install does not panic");
            self.install_ended(result)?;
        }
        let is_installed = matches!(self.phase, Phase::Sharing(_));
        while !is_installed && !self.content.is_settled() {
            if self.content.is_written() {
                self.content.start_checkpoint();
            }
            let Some(event) = self.store_events.recv().await else { break };
            self.store_event(event)?;
        }
        Ok(())
    }
}

/// The next event of a channel that may be missing or closed.
async fn next<T>(channel: Option<&mut mpsc::Receiver<T>>) -> T {
    if let Some(channel) = channel
        && let Some(event) = channel.recv().await
    {
        return event;
    }
    std::future::pending().await
}

/// Waits for the end of a running install.
async fn finished(phase: &mut Phase) -> Result<Vec<std::path::PathBuf>, crate::store::InstallError> {
    match phase {
        Phase::Installing(task) => task.await.expect("the install does not panic"),
        Phase::Reading | Phase::Fetching | Phase::Sharing(_) => std::future::pending().await,
    }
}
