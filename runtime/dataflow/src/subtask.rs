//! The loop of a subtask: take what comes next, push it through the chain, flush.
//!
//! One task, one loop. Everything that concerns the subtask (records, barriers, commands of the
//! coordinator, the end of background work) comes in here, one after the other, so no operator ever
//! sees two things at once.

mod messages;

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use floodmark_model::{
    Attempt, Barrier, ChannelId, CheckpointId, EdgeId, RuntimeEvent, SectionDigest, SubtaskId,
    Timestamp,
};
use floodmark_platform::{Machine, TaskHandle, planted};
use floodmark_state::{RestoredState, Snapshot, freeze_value, is_subtask_list};
use floodmark_wire::Section;
use tokio::sync::mpsc;

pub use self::messages::{Command, News, Report, SubtaskOptions};
use crate::{
    Alignment, Error, Head, Input, Load, Step, WatermarkFloor, WatermarkMerge,
    chain::{Cleanup, Commit, OpenContext},
    drift::DriftOptions,
    ticker::{Alarm, Ticker},
    turn::{Turn, give_way},
    uploader::Uploader,
    watermark::Progress,
};

/// The operator name under which the subtask itself keeps state.
const GATE: &str = "gate";

/// One parallel instance of a vertex, running.
#[doc(alias = "StreamTask")]
pub struct Subtask {
    machine: Machine,
    attempt: Attempt,
    id: SubtaskId,
    has_checkpoints: bool,
    head: Box<dyn Head>,
    /// Absent in a source.
    alignment: Option<Alignment>,
    watermarks: WatermarkMerge,
    phase: Phase,
    /// Whether operators of the chain have requests that outlast a call.
    has_requests: bool,
    /// What waits for the results of all requests. No input is taken meanwhile.
    ending: Option<Ending>,
    /// Channels that have not ended. Only counts in jobs without checkpoints.
    open_channel_count: usize,
    /// The latest checkpoint whose barrier a source has emitted.
    triggered: CheckpointId,
    commands: mpsc::UnboundedReceiver<Command>,
    reports: mpsc::UnboundedSender<Report>,
    snapshots: mpsc::UnboundedSender<(CheckpointId, Snapshot)>,
    failures: mpsc::UnboundedReceiver<Error>,
    _uploader: TaskHandle<()>,
    ticker: Ticker,
    /// Says when it is time to tell how far the source is, if it belongs to a group.
    reporter: Option<Ticker>,
    /// Wakes the subtask for its processing-time timers.
    alarm: Alarm,
    /// Time in which the subtask was processing or waiting for input.
    activity: Activity,
    turn: Turn,
}

/// How far the subtask has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There may be input.
    Processing,
    /// A source has none left; barriers still pass.
    Exhausted,
    /// A source is to read no further: its last barrier has passed, and only its like may follow.
    Stopped,
    /// The final barrier has passed: nothing may follow it but its like.
    Drained,
    /// Nothing is left to do.
    Finished,
}

/// What may happen only when nothing is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The source has no more input.
    Exhausted,
    /// The last barrier has come on every channel, and no input is left.
    Barrier(Barrier),
    /// All channels have ended.
    Channels,
}

/// The activity clock: stands still while those downstream are not ready.
#[derive(Debug, Default)]
struct Activity {
    total: Duration,
    /// When the clock was last read or started.
    since: Duration,
}

/// What the loop does next.
enum Event {
    Command(Command),
    Failure(Error),
    Tick,
    /// It is time to tell how far the source is.
    Progress,
    /// Processing-time timers are due.
    Timers(Timestamp),
    Input(Input),
    /// There are results of requests.
    Results,
    /// There is no input now, and some batches wait to be filled.
    Quiet,
}

impl Subtask {
    /// Restores the state, commits what the restored checkpoint promises, and reports to be running.
    ///
    /// # Errors
    ///
    /// When state does not fit, the source cannot be opened, or a commit fails.
    pub async fn start(options: SubtaskOptions, mut head: Box<dyn Head>) -> Result<Self, Error> {
        let SubtaskOptions { machine, attempt, subtask, restored, .. } = options;
        let (checkpoint, mut restored) = match restored {
            Some((checkpoint, restored)) => (Some(checkpoint), restored),
            None => (None, RestoredState::default()),
        };
        let watermarks = restore_watermarks(&*head, &mut restored)?;
        let mut cx = OpenContext {
            machine: &machine,
            attempt,
            subtask,
            key_groups: options.key_groups,
            checkpoint,
            restored: &mut restored,
            watermark: if planted!(WatermarkNotRestored) {
                Timestamp::MIN
            } else {
                watermarks.merged()
            },
            split_count: None,
            drift: None,
            commits: Vec::new(),
            cleanups: Vec::new(),
        };
        head.open(&mut cx).await?;
        let OpenContext { commits, cleanups, .. } = cx;
        restored.check_all_taken()?;
        let taken = restored.into_taken();

        let (snapshots, snapshot_receiver) = mpsc::unbounded_channel();
        let (failure_sender, failures) = mpsc::unbounded_channel();
        let uploader = Uploader {
            machine: machine.clone(),
            attempt,
            subtask,
            storage: options.storage,
            copies: options.copies,
            size_max: options.state_size_max,
            snapshots: snapshot_receiver,
            reports: options.reports.clone(),
            failures: failure_sender,
        };
        let (channel_count, has_requests) = (head.channels().len(), head.chain().has_requests());
        let interval = head.drift().map(|drift| drift.options().interval);
        let mut this = Self {
            attempt,
            id: subtask,
            has_checkpoints: options.has_checkpoints,
            alignment: (0 < channel_count).then(|| Alignment::new(channel_count)),
            head,
            watermarks,
            phase: Phase::Processing,
            has_requests,
            ending: None,
            open_channel_count: channel_count,
            triggered: checkpoint.unwrap_or_default(),
            commands: options.commands,
            reports: options.reports,
            snapshots,
            failures,
            _uploader: machine.spawn("uploader", uploader.run()),
            ticker: Ticker::new(machine.clone(), options.pulse_interval),
            reporter: interval.map(|interval| Ticker::new(machine.clone(), interval)),
            alarm: Alarm::new(machine.clone()),
            activity: Activity { total: Duration::ZERO, since: machine.now() },
            turn: Turn::default(),
            machine,
        };
        this.run_commits(checkpoint.unwrap_or_default(), commits).await?;
        for Cleanup { operator, work } in cleanups {
            // What is left open is invisible, and others may wait for it without end.
            match work.await {
                Err(error) if planted!(AbortFailureSwallowed) => {
                    tracing::warn!(%error, operator, "old transactions are left open");
                }
                done => done.map_err(|source| Error::Abort { operator, source })?,
            }
        }
        if planted!(EndNotRepeated) && checkpoint.is_some() && this.head.has_ended() {
            this.phase = Phase::Exhausted;
        }
        // Before the others may read: nobody is to miss a source that is behind.
        this.report_progress();
        this.report(News::Running);
        this.observe_start(checkpoint, taken);
        Ok(this)
    }

    /// Runs until everything is processed and committed.
    ///
    /// # Errors
    ///
    /// Whatever makes it impossible to go on; the attempt fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is how an attempt is cancelled. What was not committed is not visible.
    pub async fn run(mut self) -> Result<(), Error> {
        while self.phase != Phase::Finished {
            let is_full = self.is_full();
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            if is_full {
                // To wait for answers is not to wait for input.
                self.activity.since = self.machine.now();
            }
            self.on_event(event?).await?;
            self.flush().await?;
            if self.turn.is_over(self.activity.since) {
                give_way().await;
            }
        }
        let (attempt, subtask) = (self.attempt, self.id);
        self.machine.observe(|| RuntimeEvent::SubtaskFinished { attempt, subtask });
        Ok(())
    }

    /// Returns what comes next: commands before input, input before quiet.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        if let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
            return Poll::Ready(Ok(Event::Command(command)));
        }
        if let Poll::Ready(Some(failure)) = self.failures.poll_recv(cx) {
            return Poll::Ready(Ok(Event::Failure(failure)));
        }
        if self.ticker.poll_tick(cx).is_ready() {
            self.pulse(cx)?;
            return Poll::Ready(Ok(Event::Tick));
        }
        if let Some(reporter) = &mut self.reporter
            && reporter.poll_tick(cx).is_ready()
        {
            return Poll::Ready(Ok(Event::Progress));
        }
        if self.takes_timers() {
            let next = self.head.chain().next_timer();
            if let Poll::Ready(now) = self.alarm.poll_reached(next, cx) {
                return Poll::Ready(Ok(Event::Timers(now)));
            }
        }
        if self.poll_requests(cx).is_ready() {
            return Poll::Ready(Ok(Event::Results));
        }
        if self.takes_input()
            && let Poll::Ready(input) = self.head.poll_advance(cx)
        {
            return Poll::Ready(input.map(Event::Input));
        }
        let mut has_open = false;
        self.head.chain().visit_outlets(&mut |outlet| has_open |= outlet.has_open_batches());
        if has_open {
            return Poll::Ready(Ok(Event::Quiet));
        }
        self.turn.end();
        Poll::Pending
    }

    /// Goes on with what is under way. Behind a last barrier nothing does: it is state.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_requests && self.phase == Phase::Processing {
            self.head.chain().poll_requests(cx)
        } else {
            Poll::Pending
        }
    }

    /// Returns whether timers may fire: not while the end waits for results, which timers could put off
    /// for ever, and not while there is no room for what they emit.
    fn takes_timers(&mut self) -> bool {
        let is_ending = self.ending.is_some() && !planted!(TimersPutOffTheEnd);
        self.phase == Phase::Processing && !is_ending && !self.is_full()
    }

    /// Returns whether there may be input, and room for it.
    fn takes_input(&mut self) -> bool {
        match self.phase {
            Phase::Processing => self.ending.is_none() && !self.is_full(),
            Phase::Drained => true,
            Phase::Exhausted | Phase::Stopped | Phase::Finished => false,
        }
    }

    /// Returns whether so much is under way that there is no room for input.
    fn is_full(&mut self) -> bool {
        self.has_requests && self.head.chain().load() == Load::Full
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Command(Command::Trigger(barrier)) => self.on_trigger(barrier),
            Event::Command(Command::Stop(checkpoint)) => self.on_stop(checkpoint),
            Event::Command(Command::Abort(checkpoint)) => {
                self.on_abort(checkpoint);
                Ok(())
            }
            Event::Command(Command::Complete(barrier)) => self.on_complete(barrier).await,
            Event::Command(Command::Announce { group, least }) => {
                if let Some(drift) = self.head.drift() {
                    drift.on_announcement(&group, least);
                }
                Ok(())
            }
            Event::Progress => {
                self.report_progress();
                Ok(())
            }
            Event::Failure(error) => Err(error),
            Event::Tick => {
                self.activity.run_until(self.machine.now());
                // Behind a last barrier not even idleness is news: it could move event time.
                if matches!(self.phase, Phase::Processing | Phase::Exhausted) {
                    self.head.chain().on_tick(self.activity.total)?;
                }
                if self.takes_timers() { self.fire_due_timers() } else { Ok(()) }
            }
            Event::Timers(now) => self.head.chain().on_processing_time(now),
            Event::Input(input) => self.on_input(input).await,
            Event::Results => {
                self.head.chain().on_results()?;
                match self.ending.take() {
                    Some(ending) => self.end_or_wait(ending).await,
                    None => Ok(()),
                }
            }
            Event::Quiet => {
                self.head.chain().visit_outlets(&mut |outlet| outlet.close_open_batches());
                Ok(())
            }
        }
    }

    async fn on_input(&mut self, input: Input) -> Result<(), Error> {
        match input {
            Input::Records => Ok(()),
            Input::Watermark(channel, watermark) => {
                self.observe_idleness(channel, false);
                if self.watermarks.on_watermark(channel, watermark) {
                    let (attempt, channel) = (self.attempt, self.head.channels()[channel]);
                    self.machine.observe(|| RuntimeEvent::ChannelWatermark {
                        attempt,
                        channel,
                        watermark,
                    });
                }
                self.advance()
            }
            Input::Idle(channel) => {
                self.observe_idleness(channel, true);
                self.watermarks.on_idle(channel);
                self.advance()
            }
            Input::Barrier(channel, barrier) => self.on_barrier(channel, barrier).await,
            Input::End(_) => {
                self.open_channel_count -= 1;
                if 0 < self.open_channel_count {
                    return Ok(());
                }
                self.end_or_wait(Ending::Channels).await
            }
            Input::Exhausted => {
                self.head.chain().on_watermark(Timestamp::MAX)?;
                self.end_or_wait(Ending::Exhausted).await
            }
        }
    }

    /// Does what may be done only when nothing is under way, as soon as that is so.
    async fn end_or_wait(&mut self, ending: Ending) -> Result<(), Error> {
        if self.has_requests && self.head.chain().load() != Load::None {
            self.ending = Some(ending);
            return Ok(());
        }
        match ending {
            Ending::Exhausted => self.on_exhausted().await,
            Ending::Barrier(barrier) => self.take_snapshot(barrier),
            Ending::Channels => self.end().await,
        }
    }

    /// Looks at the clock: one that has jumped forward wakes nobody.
    fn fire_due_timers(&mut self) -> Result<(), Error> {
        if self.phase != Phase::Processing || self.head.chain().next_timer().is_none() {
            return Ok(());
        }
        self.head.chain().on_processing_time(self.alarm.now())
    }

    /// Passes the event time on, if it has changed.
    fn advance(&mut self) -> Result<(), Error> {
        loop {
            match self.watermarks.advance() {
                Progress::None => return Ok(()),
                progress @ (Progress::Advanced(_) | Progress::Idle | Progress::Active) => {
                    self.pass_on(progress)?;
                }
            }
        }
    }

    fn pass_on(&mut self, progress: Progress) -> Result<(), Error> {
        match progress {
            Progress::None => Ok(()),
            Progress::Idle => {
                let (attempt, subtask) = (self.attempt, self.id);
                self.machine.observe(|| RuntimeEvent::AllInputsIdle { attempt, subtask });
                self.head.chain().on_idle()
            }
            // The old watermark tells those downstream that they have to wait for this subtask again.
            Progress::Active => self.head.chain().on_watermark(self.watermarks.merged()),
            Progress::Advanced(watermark) => {
                self.head.chain().on_watermark(watermark)?;
                let (attempt, subtask) = (self.attempt, self.id);
                self.machine.observe(|| RuntimeEvent::WatermarkAdvanced {
                    attempt,
                    subtask,
                    watermark,
                });
                Ok(())
            }
        }
    }

    /// Tells those who watch, if it changes, whether a channel is idle.
    fn observe_idleness(&self, channel: usize, is_idle: bool) {
        if self.watermarks.is_idle(channel) != is_idle {
            let (attempt, channel) = (self.attempt, self.head.channels()[channel]);
            self.machine.observe(|| RuntimeEvent::ChannelIdle { attempt, channel, is_idle });
        }
    }

    /// The source's input is over, and event time with it.
    async fn on_exhausted(&mut self) -> Result<(), Error> {
        self.phase = Phase::Exhausted;
        self.report(News::Exhausted);
        let (attempt, subtask) = (self.attempt, self.id);
        self.machine.observe(|| RuntimeEvent::SourceExhausted { attempt, subtask });
        if self.has_checkpoints { Ok(()) } else { self.end().await }
    }

    /// Ends a job without checkpoints: there is nothing to wait for.
    async fn end(&mut self) -> Result<(), Error> {
        let mut commits = Vec::new();
        self.head.chain().on_end(&mut commits)?;
        self.run_commits(CheckpointId::default(), commits).await?;
        self.phase = Phase::Finished;
        Ok(())
    }

    /// A source emits the barrier, in one step with the snapshot of its positions.
    fn on_trigger(&mut self, barrier: Barrier) -> Result<(), Error> {
        let is_source = self.alignment.is_none();
        let is_early = barrier.is_final && self.phase != Phase::Exhausted;
        if !is_source || is_early || barrier.checkpoint <= self.triggered {
            return Ok(());
        }
        self.emit_barrier(barrier)
    }

    fn emit_barrier(&mut self, barrier: Barrier) -> Result<(), Error> {
        self.triggered = barrier.checkpoint;
        let (attempt, subtask, checkpoint) = (self.attempt, self.id, barrier.checkpoint);
        self.machine.observe(|| RuntimeEvent::BarrierEmitted { attempt, subtask, checkpoint });
        self.take_snapshot(barrier)
    }

    /// A source emits its last barrier, although it has more input. Event time stays where it is: the
    /// input goes on when the job is started again.
    fn on_stop(&mut self, checkpoint: CheckpointId) -> Result<(), Error> {
        if self.alignment.is_some() || checkpoint <= self.triggered {
            return Ok(());
        }
        self.emit_barrier(Barrier { checkpoint, is_final: true })?;
        self.phase = Phase::Stopped;
        Ok(())
    }

    async fn on_barrier(&mut self, channel: usize, barrier: Barrier) -> Result<(), Error> {
        let (attempt, checkpoint) = (self.attempt, barrier.checkpoint);
        let id = self.head.channels()[channel];
        self.machine.observe(|| RuntimeEvent::BarrierArrived { attempt, channel: id, checkpoint });
        let alignment = self.alignment.as_mut().expect("only channels deliver barriers");
        let (aborted, is_complete) = match alignment.on_barrier(channel, checkpoint) {
            Step::Late => return Ok(()),
            Step::Block { aborted } => (aborted, false),
            Step::Snapshot { aborted } => (aborted, true),
        };
        if let Some(checkpoint) = aborted {
            self.alignment_aborted(checkpoint);
        }
        if is_complete {
            self.head.unblock();
            // Where the job only stops, event time has not ended, and what is under way is state.
            if barrier.is_final && self.watermarks.merged() == Timestamp::MAX {
                self.end_or_wait(Ending::Barrier(barrier)).await
            } else {
                self.take_snapshot(barrier)
            }
        } else {
            if !planted!(UnblockedChannel) {
                self.head.block(channel);
            }
            Ok(())
        }
    }

    fn on_abort(&mut self, checkpoint: CheckpointId) {
        if let Some(alignment) = &mut self.alignment
            && alignment.on_abort(checkpoint)
        {
            self.alignment_aborted(checkpoint);
        }
        if let Some(Ending::Barrier(barrier)) = self.ending
            && barrier.checkpoint <= checkpoint
        {
            self.ending = None;
        }
        self.triggered = self.triggered.max(checkpoint);
    }

    fn alignment_aborted(&mut self, checkpoint: CheckpointId) {
        self.head.unblock();
        let (attempt, subtask) = (self.attempt, self.id);
        self.machine.observe(|| RuntimeEvent::AlignmentAborted { attempt, subtask, checkpoint });
    }

    /// Freezes all state, forwards the barrier, and leaves the rest to the uploader.
    fn take_snapshot(&mut self, barrier: Barrier) -> Result<(), Error> {
        let (attempt, subtask, checkpoint) = (self.attempt, self.id, barrier.checkpoint);
        // What is due before the barrier belongs before it; so a snapshot holds no timer that its
        // clock has passed. At the end of the input nothing may be asked of others any more: nobody
        // would wait for the answer.
        let is_end = barrier.is_final && self.watermarks.merged() == Timestamp::MAX;
        if !(is_end && self.has_requests) || planted!(TimersInTheLastSnapshot) {
            self.fire_due_timers()?;
            if self.phase == Phase::Processing {
                self.machine.observe(|| RuntimeEvent::ProcessingTimeReached {
                    attempt,
                    subtask,
                    now: self.alarm.now(),
                });
            }
        }
        self.observe_snapshot(checkpoint);
        let snapshot = self.freeze(barrier)?;
        if barrier.is_final && self.alignment.is_some() {
            self.phase = Phase::Drained;
        }
        // The uploader ends only with the subtask, or in a panic of its own.
        self.snapshots
            .send((checkpoint, snapshot))
            .map_err(|_| Error::PreCommit { checkpoint, reason: "the uploader is gone".to_owned() })
    }

    /// Tells those who watch what the barrier found, by looking before anything follows it.
    fn observe_snapshot(&mut self, checkpoint: CheckpointId) {
        let (attempt, subtask, watermark) = (self.attempt, self.id, self.watermarks.merged());
        let machine = self.machine.clone();
        machine.observe(|| RuntimeEvent::SnapshotTaken {
            attempt,
            subtask,
            checkpoint,
            watermark,
            received: self.head.received(),
            sent: self.sent(),
            sections: self.digest(),
        });
    }

    fn freeze(&mut self, barrier: Barrier) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        self.freeze_gate(&mut snapshot);
        self.head.on_barrier(barrier, &mut snapshot)?;
        if planted!(SharedSnapshot) { self.freeze_late(snapshot) } else { Ok(snapshot) }
    }

    /// Freezes what the state has become when more input has come: a planted bug.
    fn freeze_late(&mut self, early: Snapshot) -> Result<Snapshot, Error> {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(input) = self.head.poll_advance(&mut cx) {
            match input? {
                Input::Watermark(channel, watermark) => {
                    self.watermarks.on_watermark(channel, watermark);
                    self.advance()?;
                }
                Input::Idle(channel) => self.watermarks.on_idle(channel),
                Input::Records | Input::Exhausted | Input::Barrier(..) | Input::End(_) => {}
            }
        }
        let mut late = Snapshot::default();
        self.freeze_gate(&mut late);
        self.head.freeze(&mut late);
        early.into_parts().1.into_iter().for_each(|upload| late.add_upload(upload));
        Ok(late)
    }

    async fn on_complete(&mut self, barrier: Barrier) -> Result<(), Error> {
        let (attempt, subtask, checkpoint) = (self.attempt, self.id, barrier.checkpoint);
        self.machine.observe(|| RuntimeEvent::CheckpointNotified { attempt, subtask, checkpoint });
        let mut commits = Vec::new();
        self.head.on_complete(checkpoint, &mut commits);
        self.run_commits(checkpoint, commits).await?;
        if barrier.is_final {
            self.phase = Phase::Finished;
        }
        Ok(())
    }

    async fn run_commits(
        &mut self,
        notified: CheckpointId,
        commits: Vec<Commit>,
    ) -> Result<(), Error> {
        let (attempt, subtask) = (self.attempt, self.id);
        self.turn.end();
        for Commit { operator, checkpoint, mut work } in commits {
            // Whoever waits for an answer is not to time out because a commit is slow.
            let done = poll_fn(|cx| {
                let _ = self.poll_requests(cx);
                work.as_mut().poll(cx)
            });
            if let Err(error) = done.await {
                let reason = error.to_string();
                if planted!(CommitFailureSwallowed) {
                    tracing::warn!(%checkpoint, reason, "a transaction is not committed");
                    continue;
                }
                return Err(Error::Commit { checkpoint, operator, reason });
            }
            self.machine.observe(|| RuntimeEvent::TransactionCommitted {
                attempt,
                subtask,
                operator,
                checkpoint,
                notified,
            });
        }
        Ok(())
    }

    /// Waits until the exchanges have sent what they hold. Meanwhile the activity clock stands still,
    /// and signs of life go on.
    async fn flush(&mut self) -> Result<(), Error> {
        self.activity.run_until(self.machine.now());
        poll_fn(|cx| {
            if self.ticker.poll_tick(cx).is_ready() {
                self.pulse(cx)?;
            }
            // Whoever waits for an answer is not to time out because others are slow. What comes is
            // passed on afterwards.
            let _ = self.poll_requests(cx);
            self.poll_flush(cx)
        })
        .await?;
        self.activity.since = self.machine.now();
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut result = Poll::Ready(Ok(()));
        self.head.chain().visit_outlets(&mut |outlet| match outlet.poll_flush(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => result = Poll::Ready(Err(error)),
            Poll::Pending if matches!(result, Poll::Ready(Ok(()))) => result = Poll::Pending,
            Poll::Pending => {}
        });
        if result.is_pending() {
            self.turn.end();
        }
        result
    }

    fn pulse(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        self.head.pulse(cx);
        let mut result = Ok(());
        self.head.chain().visit_outlets(&mut |outlet| {
            if let Err(error) = outlet.pulse(cx) {
                result = Err(error);
            }
        });
        result
    }

    fn sent(&mut self) -> Vec<(ChannelId, u64)> {
        let mut sent = Vec::new();
        self.head.chain().visit_outlets(&mut |outlet| outlet.sent(&mut sent));
        sent
    }

    fn report(&self, news: News) {
        let (attempt, subtask) = (self.attempt, self.id);
        // Nobody listens when the worker is going down.
        let _ = self.reports.send(Report { attempt, subtask, news });
    }

    /// Tells how far the source is, if it belongs to a group.
    fn report_progress(&self) {
        let Some(drift) = self.head.drift() else { return };
        self.report(News::Watermark { group: drift.options().group, watermark: drift.least() });
    }

    /// Tells those who watch what was restored, by looking at it again. Functions may have changed
    /// their lists already, so of these it is what they have `taken`.
    fn observe_start(&mut self, restored: Option<CheckpointId>, taken: Vec<SectionDigest>) {
        let (attempt, subtask, watermark) = (self.attempt, self.id, self.watermarks.merged());
        let machine = self.machine.clone();
        machine.observe(|| RuntimeEvent::SubtaskStarted {
            attempt,
            subtask,
            restored,
            watermark,
            sections: {
                let mut sections = self.sections();
                sections.retain(|section| !is_subtask_list(section));
                sections.iter().map(Section::digest).chain(taken).collect()
            },
        });
        if let Some(drift) = self.head.drift() {
            let DriftOptions { group, max_drift, .. } = drift.options();
            machine.observe(|| RuntimeEvent::DriftLimited { attempt, subtask, group, max_drift });
        }
        let inputs = self.head.channels().into_iter().zip(self.head.inputs());
        let second = inputs.filter(|(_, input)| *input == 1).map(|(channel, _)| channel.edge);
        let mut edges: Vec<EdgeId> = second.collect();
        edges.dedup();
        if !edges.is_empty() {
            machine.observe(|| RuntimeEvent::SecondInput { attempt, subtask, edges });
        }
    }

    fn digest(&mut self) -> Vec<SectionDigest> {
        self.sections().iter().map(Section::digest).collect()
    }

    /// Returns what a snapshot would hold.
    fn sections(&mut self) -> Vec<Section> {
        let mut snapshot = Snapshot::default();
        self.freeze_gate(&mut snapshot);
        self.head.freeze(&mut snapshot);
        snapshot.into_parts().0.sections
    }

    fn freeze_gate(&self, snapshot: &mut Snapshot) {
        let gate = (self.watermarks.merged(), self.watermarks.floors().to_vec());
        snapshot.add(freeze_value(GATE, "watermarks", gate));
        if let Some(inputs) = self.watermarks.input_floors() {
            snapshot.add(freeze_value(GATE, "inputs", inputs));
        }
    }
}

impl Activity {
    fn run_until(&mut self, now: Duration) {
        self.total += now.saturating_sub(self.since);
        self.since = now;
    }
}

/// Returns the event time of the restored gate, with a floor under every channel.
fn restore_watermarks(
    head: &dyn Head,
    restored: &mut RestoredState,
) -> Result<WatermarkMerge, Error> {
    let mut watermarks = WatermarkMerge::of_inputs(&head.channels(), head.inputs())
        .ended_inputs(head.ended_inputs());
    let gate = restored.take_value::<(Timestamp, Vec<WatermarkFloor>)>(GATE, "watermarks")?;
    let inputs = restored.take_value::<Vec<Timestamp>>(GATE, "inputs")?;
    if let Some((merged, floors)) = gate {
        watermarks.restore(merged, &floors, inputs.as_deref());
    }
    Ok(watermarks)
}
