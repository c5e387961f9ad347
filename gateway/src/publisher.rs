//! Verdicts of all shards become events on disk: taken from the outboxes, published or not, announced, appended.
//!
//! One group commit carries what had gathered while the last one was written, so a burst costs few of them and a
//! single verdict waits for none. A commit that fails is tried again with the same records, for as long as the gateway
//! runs: events then wait in the outboxes, and detection goes on (see `outbox.rs` for what happens when those fill).

mod timed_sync;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pulsegate_codec::event::{Event, EventType, ValueFormat};
use pulsegate_engine::publication::{Publication, Published};
use pulsegate_engine::{Duration, Timestamp};
use pulsegate_stream::{Appended, EventLog, LogError, Record, SyncPolicy};

use crate::ailments::Ailments;
use crate::announce::Announcer;
use crate::counters::CounterPage;
use crate::gateway::LogDamage;
use crate::io::Clock;
use crate::io::control_wake::ControlSleep;
use crate::node_states::NodeStates;
use crate::operator::{self, Asks};
use crate::outbox::Outbox;
use crate::restart::Summary;
use crate::sinks::losses::Losses;
use crate::status::StreamGauges;

use timed_sync::TimedSync;

/// Events in one group commit at most.
pub const EVENTS_PER_COMMIT_MAX: usize = 4_096;

/// Wait after a failed commit.
pub const COMMIT_RETRY_WAIT: Duration = Duration::from_millis(200);

/// Time between two looks at what is too old and at compaction.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// Failed commits in a row after which a gateway that is stopping gives up: two seconds.
pub const COMMIT_RETRIES_AT_STOP_MAX: u32 = 10;

/// Events could not be written before the gateway stopped.
#[derive(Debug, thiserror::Error)]
#[error("{events} events were decided but could not be written before the stop: {source}")]
pub struct Unpublished {
    /// How many.
    pub events: usize,
    /// Why.
    pub source: LogError,
}

/// The single consumer of all outboxes.
#[derive(Debug)]
pub struct Publisher {
    announcer: Announcer,
    publication: Publication,
    log: EventLog,
    states: NodeStates,
    outboxes: Arc<[Arc<Outbox>]>,
    /// What operators ask.
    asks: Asks,
    gauges: Arc<StreamGauges>,
    clock: Clock,
    /// Records of the commit under way; reused.
    records: Vec<Record>,
    /// Verdicts behind these records.
    verdicts: u64,
    /// The oldest of these verdicts.
    oldest: Option<Timestamp>,
    sync: TimedSync,
    format: ValueFormat,
    /// What sinks have lost and nobody has been told.
    losses: Arc<Losses>,
    /// Where the shards count what ails them, and what was told of it.
    pages: Arc<[Arc<CounterPage>]>,
    ailments: Ailments,
    /// When the logs are looked after next.
    maintenance_due: Timestamp,
}

impl Publisher {
    /// A publisher that has published nothing.
    #[must_use]
    pub fn new(
        announcer: Announcer,
        (log, states): (EventLog, NodeStates),
        (sync, format): (SyncPolicy, ValueFormat),
        (outboxes, asks): (Arc<[Arc<Outbox>]>, Asks),
        gauges: Arc<StreamGauges>,
        clock: Clock,
        publication: Publication,
    ) -> Self {
        Self {
            announcer,
            publication,
            log,
            states,
            outboxes,
            asks,
            gauges,
            clock,
            records: Vec::with_capacity(EVENTS_PER_COMMIT_MAX),
            verdicts: 0,
            oldest: None,
            sync: TimedSync::new(sync),
            format,
            losses: Arc::default(),
            pages: Arc::default(),
            ailments: Ailments::default(),
            maintenance_due: clock.now(),
        }
    }

    /// Announces these from now on.
    pub fn announce_losses(&mut self, losses: Arc<Losses>) {
        self.losses = losses;
    }

    /// Announces what ails these shards from now on.
    pub fn announce_ailments(&mut self, pages: Arc<[Arc<CounterPage>]>) {
        self.pages = pages;
    }

    /// Writes that the gateway has started, and what it knows of the run before.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn announce_start(&mut self, known: &Summary) -> Result<(), LogError> {
        let now_unix_us = self.clock.wall_offset().unix_us(self.clock.now());
        let mut event = self.announcer.gateway(EventType::GatewayStarted, now_unix_us);
        if known.latest_unix_us != 0 {
            event.pause_us = Some(now_unix_us.saturating_sub(known.latest_unix_us));
            event.members = u32::try_from(known.nodes).ok();
        }
        self.records.push(record(&event, self.format));
        self.commit().await
    }

    /// Writes an event about each part of a log that was set aside, and notes that they were told.
    ///
    /// # Errors
    /// When the log cannot be written: they are told at the next start.
    pub async fn announce_damage(&mut self, damages: &[LogDamage]) -> Result<(), LogError> {
        let now_unix_us = self.clock.wall_offset().unix_us(self.clock.now());
        for damage in damages {
            let event = self.announcer.log_damaged(damage, now_unix_us);
            self.records.push(record(&event, self.format));
        }
        self.commit().await?;
        // Relaxed: see `commit`.
        self.gauges.log_damages.fetch_add(damages.len() as u64, Ordering::Relaxed);
        self.log.confirm_told().await?;
        Ok(self.states.confirm_told().await?)
    }

    /// Publishes until `running` shards is 0 and every outbox is empty, then writes that the gateway stopped.
    ///
    /// # Errors
    /// When the last events cannot be written.
    pub async fn run(&mut self, control: &ControlSleep, running: &AtomicUsize) -> Result<(), Unpublished> {
        loop {
            control.begin_pass();
            // Acquire: pairs with the release of a shard that ends; its last verdicts are in the outbox then. Read after
            // `begin_pass`: the wake-up of a shard that ends before it is used up by it.
            let stopping = running.load(Ordering::Acquire) == 0;
            while self.gather() {
                self.commit_surely(running).await?;
                self.upkeep().await;
            }
            if stopping {
                self.publication.finish(self.clock.now());
                while self.gather() {
                    self.commit_surely(running).await?;
                }
                self.gather_ailments(true);
                self.gather_gateway_event(EventType::GatewayStopped);
                self.commit_surely(running).await?;
                self.sync_now().await;
                return Ok(());
            }
            self.upkeep().await;
            self.sleep(control).await;
        }
    }

    /// What the clock asks for, also while events never end.
    async fn upkeep(&mut self) {
        if self.sync.is_due(self.clock.now()) {
            self.sync_now().await;
        }
        self.maintain().await;
    }

    /// Lets both logs do what time brings, every so often.
    async fn maintain(&mut self) {
        let now = self.clock.now();
        if now < self.maintenance_due {
            return;
        }
        self.maintenance_due = now + MAINTENANCE_INTERVAL;
        let now_ms = i64::try_from(self.clock.unix_us() / 1_000).unwrap_or(i64::MAX);
        let mut maintained = self.log.maintain(now_ms).await;
        maintained.extend(self.states.maintain(now_ms).await);
        for partition in maintained {
            // Relaxed: see `commit`.
            self.gauges.records_retired.fetch_add(partition.retention.records_removed, Ordering::Relaxed);
            if let Some(failure) = partition.failure.or(partition.retention.failure) {
                tracing::warn!(%failure, partition = partition.partition, "upkeep of the log failed; tried again later");
            }
        }
    }

    /// Takes verdicts from all outboxes, lets time pass in publication, and takes what it lets out until a commit is
    /// full; true when there is something to commit.
    fn gather(&mut self) -> bool {
        let (wall, now) = (self.clock.wall_offset(), self.clock.now());
        while let Some(ask) = self.asks.take() {
            operator::answer(ask, &mut self.publication, now, wall);
        }
        let mut taken = 0;
        for (sink, events) in self.losses.take() {
            let event = self.announcer.sink_lost(&sink, events, wall.unix_us(now));
            self.records.push(record(&event, self.format));
        }
        self.gather_ailments(false);
        for (shard, outbox) in self.outboxes.iter().enumerate() {
            // What is let out waits in publication: no more is taken while a commit's worth does.
            while taken < EVENTS_PER_COMMIT_MAX && self.publication.ready() < EVENTS_PER_COMMIT_MAX {
                let Some(verdict) = outbox.take() else { break };
                taken += 1;
                self.publication.on_verdict(shard, verdict, now);
            }
        }
        self.verdicts += taken as u64;
        self.publication.on_tick(now);
        while self.records.len() < EVENTS_PER_COMMIT_MAX {
            let Some(published) = self.publication.take() else { break };
            if let Published::Node(node) = &published
                && node.held.is_zero()
            {
                let decided_at = node.verdict.decided_at;
                self.oldest = Some(self.oldest.map_or(decided_at, |oldest| oldest.min(decided_at)));
            }
            let event = self.announcer.published(&published, wall);
            let record = record(&event, self.format);
            let is_named_now = matches!(&published, Published::Node(node) if node.is_named_now);
            self.states.gather(&event, &record, is_named_now);
            self.records.push(record);
        }
        self.gauges.store_publication(&self.publication);
        if self.records.is_empty() {
            // Verdicts of which nothing is written are not behind a commit.
            let settled = std::mem::take(&mut self.verdicts);
            // Relaxed: see `commit`.
            self.gauges.verdicts_published.fetch_add(settled, Ordering::Relaxed);
        }
        taken > 0 || !self.records.is_empty()
    }

    fn gather_ailments(&mut self, is_last: bool) {
        let (wall, now) = (self.clock.wall_offset(), self.clock.now());
        let pages = self.pages.iter().map(AsRef::as_ref);
        for ailment in self.ailments.look(&pages, now, is_last) {
            let event = self.announcer.ailment(ailment, wall.unix_us(now));
            self.records.push(record(&event, self.format));
        }
    }

    fn gather_gateway_event(&mut self, event_type: EventType) {
        let now_unix_us = self.clock.wall_offset().unix_us(self.clock.now());
        let event = self.announcer.gateway(event_type, now_unix_us);
        self.records.push(record(&event, self.format));
    }

    /// Commits what was gathered, however often it takes; gives up only when the gateway stops.
    async fn commit_surely(&mut self, running: &AtomicUsize) -> Result<(), Unpublished> {
        let mut failures_at_stop = 0;
        let mut failures = 0_u64;
        while let Err(source) = self.commit().await {
            if failures.is_multiple_of(50) {
                tracing::error!(error = %source, events = self.records.len(), failures, "event log cannot be written; trying again");
            }
            failures += 1;
            // Relaxed: only the count matters here.
            self.gauges.commits_failed.fetch_add(1, Ordering::Relaxed);
            if running.load(Ordering::Acquire) == 0 {
                failures_at_stop += 1;
                if failures_at_stop > COMMIT_RETRIES_AT_STOP_MAX {
                    let waiting: usize = self.outboxes.iter().map(|outbox| outbox.waiting()).sum();
                    return Err(Unpublished { events: self.records.len() + waiting, source });
                }
            }
            tokio::time::sleep(COMMIT_RETRY_WAIT).await;
        }
        Ok(())
    }

    /// Events first, so that nobody hears of a state before its event is on disk.
    async fn commit(&mut self) -> Result<(), LogError> {
        if !self.records.is_empty() {
            self.commit_events().await?;
        }
        self.states.commit().await
    }

    async fn commit_events(&mut self) -> Result<(), LogError> {
        match self.log.append(&self.records).await {
            Ok(appended) => self.note(&appended),
            Err(LogError::Append(failure)) => {
                // Some partitions have their records: only the others' are offered again.
                self.note(&failure.appended);
                failure.retain_refused(&mut self.records);
                return Err(failure.into());
            }
            Err(error) => return Err(error),
        }
        self.sync.on_append(self.clock.now());
        self.records.clear();
        let gauges = &self.gauges;
        // Relaxed: numbers by themselves, written by this thread alone.
        gauges.verdicts_published.fetch_add(std::mem::take(&mut self.verdicts), Ordering::Relaxed);
        if let Some(oldest) = self.oldest.take() {
            let latency = self.clock.now().since(oldest);
            let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            gauges.publish_latency_us_max.fetch_max(latency_us, Ordering::Relaxed);
        }
        Ok(())
    }

    fn note(&self, appended: &Appended) {
        let gauges = &self.gauges;
        // Relaxed: see `commit`.
        gauges.commits.fetch_add(1, Ordering::Relaxed);
        gauges.events_published.fetch_add(appended.records(), Ordering::Relaxed);
        for partition in &appended.partitions {
            gauges.bytes_appended.fetch_add(partition.bytes, Ordering::Relaxed);
            gauges.records_retired.fetch_add(partition.retention.records_removed, Ordering::Relaxed);
            if let Some(failure) = &partition.retention.failure {
                tracing::warn!(%failure, partition = partition.partition, "an old segment cannot be removed");
            }
        }
    }

    /// Waits until a shard has raised the control thread's eventfd, an operator asks, publication wants to be told the
    /// time, a sync is due, or the logs want upkeep.
    async fn sleep(&mut self, control: &ControlSleep) {
        let deadlines = [
            self.publication.next_deadline(),
            self.ailments.next_deadline(),
            self.sync.due(),
            Some(self.maintenance_due),
        ];
        let next = deadlines.into_iter().flatten().min().expect("upkeep is always due some time");
        // The timer has milliseconds; a deadline must not be asked for again at once.
        let wait = next.since(self.clock.now()).max(Duration::from_millis(1));
        tokio::select! {
            woken = control.woken() => if let Err(error) = woken {
                // Without the eventfd the outboxes are looked at by the clock: late by this wait, but not lost.
                tracing::error!(%error, "the control thread cannot be woken; polling instead");
                tokio::time::sleep(COMMIT_RETRY_WAIT).await;
            },
            Some(ask) = self.asks.next() => {
                operator::answer(ask, &mut self.publication, self.clock.now(), self.clock.wall_offset());
            }
            () = tokio::time::sleep(wait) => {}
        }
    }

    async fn sync_now(&mut self) {
        self.sync.on_sync();
        let synced = match self.log.sync().await {
            Ok(()) => self.states.sync().await,
            failed => failed,
        };
        if let Err(error) = synced {
            // Relaxed: see `commit`.
            self.gauges.commits_failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "events that were written but not yet synced are lost");
        }
    }
}

fn record(event: &Event, format: ValueFormat) -> Record {
    Record::from(event.to_record(format))
}
