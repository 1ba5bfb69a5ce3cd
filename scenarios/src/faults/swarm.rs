//! How a seed draws faults: of which kinds, how many, how bad, and when.

use std::{ops::Range, time::Duration};

use floodmark_sim::{
    CallSelector, Direction, DiskFate, DiskSelector, Effect, EventSelector, Fault, FaultPlan,
    LinkSelector, PlannedFault, StoreSelector, When,
};

use super::{event, event_of, frames, keys_with};
use crate::{
    Draw,
    atlas::{self, Kind},
    cluster::{COORDINATOR, worker},
};

/// Kinds of frames that the runtime sends, records more than once: there are so many of them.
const FRAME_KINDS: [&str; 14] = [
    "records",
    "records",
    "records",
    "barrier",
    "watermark",
    "idle",
    "credit",
    "pulse",
    "handshake",
    "acknowledgement",
    "trigger",
    "notification",
    "heartbeat",
    "deployment",
];

/// Labels of events after which a fault is most likely to hurt. Those of a checkpoint come first.
const MOMENTS: [&str; 11] = [
    "checkpoint_triggered",
    "barrier_emitted",
    "barrier_arrived",
    "snapshot_taken",
    "transaction_prepared",
    "snapshot_stored",
    "checkpoint_acknowledged",
    "manifest_stored",
    "checkpoint_notified",
    "subtask_started",
    "attempt_started",
];

/// How many of the moments belong to the life of one checkpoint.
const CHECKPOINT_MOMENT_COUNT: u64 = 9;

/// How bad everything is that goes wrong in one seed.
struct Intensity {
    /// How many faults there are.
    count: Range<u64>,
    /// How long they last, in milliseconds. All is over when everything heals, whatever is drawn.
    lasts: Range<u64>,
    /// How likely they strike, in thousandths.
    rates: [u16; 3],
    /// How often they strike at most.
    limit: Range<u64>,
}

const CALM: Intensity =
    Intensity { count: 1..4, lasts: 50..800, rates: [300, 50, 10], limit: 1..5 };

const NORMAL: Intensity =
    Intensity { count: 2..12, lasts: 50..3_000, rates: [1000, 300, 50], limit: 1..11 };

const HARSH: Intensity =
    Intensity { count: 8..21, lasts: 200..4_500, rates: [1000, 700, 300], limit: 5..31 };

/// What one seed draws from.
struct Swarm {
    draw: Draw,
    intensity: &'static Intensity,
    worker_count: u16,
    /// Whether crashes of several nodes at one moment are among the kinds.
    is_correlated: bool,
}

/// Draws a mix of faults for a cluster with so many workers: the seed first decides which kinds of
/// fault there are at all and how bad they are, then how many, and when each strikes.
pub fn swarm(seed: u64, worker_count: u16) -> FaultPlan {
    let draw = Draw::new(seed);
    let intensity = match draw.below("intensity", 10) {
        0..2 => &CALM,
        2..7 => &NORMAL,
        _ => &HARSH,
    };
    let is_correlated = draw.percent("correlated crashes", 35);
    let swarm = Swarm { draw, intensity, worker_count, is_correlated };
    let kinds = swarm.kinds();
    let count = draw.below("fault count", intensity.count.end - intensity.count.start);
    let numbers = if kinds.is_empty() { 0..0 } else { 0..intensity.count.start + count };
    let plan = numbers.flat_map(|number| {
        let kind = kinds[index(swarm.below(&format!("which {number}"), kinds.len()))];
        swarm.faults_of(kind, Names(number))
    });
    let plan = FaultPlan(plan.collect());
    if let Some(objection) = atlas::objection(&plan) {
        unreachable!("the swarm of seed {seed} is unfair: {objection}");
    }
    plan
}

/// The names of what is drawn for one fault.
#[derive(Clone, Copy)]
struct Names(u64);

impl Names {
    fn of(self, what: &str) -> String {
        format!("{what} {}", self.0)
    }
}

impl Swarm {
    /// Draws which kinds there are, those that set most in motion more than once.
    fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for kind in Kind::ALL {
            let weight = match kind {
                Kind::Crash => 3,
                Kind::Lose | Kind::Duplicate | Kind::Partition | Kind::Pause | Kind::StoreError => {
                    2
                }
                Kind::Clog
                | Kind::Slow
                | Kind::Reorder
                | Kind::Reset
                | Kind::Jump
                | Kind::Drift
                | Kind::CallError
                | Kind::StoreSlow
                | Kind::StoreCorruption
                | Kind::StaleListing
                | Kind::ShortRead
                | Kind::CorruptRead
                | Kind::DiskError
                | Kind::DiskFull
                | Kind::BitRot => 1,
            };
            if self.draw.percent(&format!("kind {kind:?}"), 45) {
                kinds.extend(std::iter::repeat_n(kind, weight));
            }
        }
        kinds
    }

    /// Draws the faults of one number: one, or the crashes of several nodes at one moment.
    fn faults_of(&self, kind: Kind, names: Names) -> Vec<PlannedFault> {
        let when = self.moment(names);
        let what = self.fault(kind, names);
        let mut together = vec![PlannedFault { when: when.clone(), what: what.clone() }];
        if let Fault::Crash { node, .. } = &what
            && self.is_correlated
            && self.draw.percent(&names.of("together"), 50)
        {
            let others = self.nodes().into_iter().filter(|other| other != node);
            together.extend(others.filter_map(|other| {
                let is_hit = self.draw.percent(&names.of(&format!("{other} together")), 50);
                let what = self.crash(other, names);
                is_hit.then_some(PlannedFault { when: when.clone(), what })
            }));
        }
        together
    }

    /// Draws when a fault strikes: at a time, or at a moment of the protocol.
    fn moment(&self, names: Names) -> When {
        let draw = self.draw;
        if !draw.percent(&names.of("by phase"), 50) {
            return When::At(draw.millis(&names.of("time"), 100, 4_500));
        }
        let moment = self.below(&names.of("moment"), MOMENTS.len());
        let label = MOMENTS[index(moment)];
        let (event, occurrence_count) = if !draw.percent(&names.of("by field"), 40) {
            (event(label), 12)
        } else if moment < CHECKPOINT_MOMENT_COUNT {
            let checkpoint = 1 + draw.below(&names.of("checkpoint"), 8);
            (event_of(label, ("checkpoint", checkpoint)), 4)
        } else {
            (event_of(label, ("restored", 1)), 4)
        };
        let node = draw.percent(&names.of("by node"), 15).then(|| self.node(names, "says"));
        let occurrence = 1 + draw.below(&names.of("occurrence"), occurrence_count);
        When::After {
            event: EventSelector { node, ..event },
            occurrence: u32::try_from(occurrence).expect("at most 12"),
            delay: draw.millis(&names.of("delay"), 0, 30),
        }
    }

    /// Draws a fault of a kind.
    fn fault(&self, kind: Kind, names: Names) -> Fault {
        let (draw, node) = (self.draw, |what: &str| self.node(names, what));
        let kind_of_frame = FRAME_KINDS[index(self.below(&names.of("frames"), FRAME_KINDS.len()))];
        let (link, disk) = (frames(kind_of_frame), DiskSelector::default());
        let (lasts, per_mille, limit) = (self.lasts(names), self.rate(names), self.limit(names));
        match kind {
            Kind::Crash => self.crash(node("node"), names),
            Kind::Pause => Fault::Pause { node: node("node"), lasts },
            Kind::Partition => Fault::Partition {
                from: vec![node("left")],
                to: vec![node("right")],
                direction: match draw.below(&names.of("way"), 2) {
                    0 => Direction::Both,
                    _ => Direction::OneWay,
                },
                lasts,
            },
            Kind::Clog => Fault::Clog { link, lasts },
            Kind::Slow => {
                Fault::Slow { link, extra: draw.millis(&names.of("extra"), 5, 400), lasts }
            }
            Kind::Lose => Fault::Lose { link, per_mille, limit, lasts },
            Kind::Duplicate => Fault::Duplicate { link, per_mille, limit, lasts },
            Kind::Reorder => Fault::Reorder { link, per_mille, limit, lasts },
            Kind::Reset => Fault::Reset {
                link: LinkSelector { from: Some(node("node")), ..LinkSelector::default() },
            },
            Kind::Jump => {
                let jump = i64::try_from(draw.below(&names.of("jump"), 7_200_000));
                Fault::Jump { node: node("node"), offset_ms: jump.expect("hours") - 3_600_000 }
            }
            Kind::Drift => {
                let drift = i32::try_from(draw.below(&names.of("drift"), 200_000));
                Fault::Drift { node: node("node"), ppm: drift.expect("a fifth") - 100_000 }
            }
            Kind::StoreError => {
                let (store, effect) = (self.store(names), self.effect(names));
                Fault::StoreError { store, effect, per_mille, limit, lasts }
            }
            Kind::CallError => {
                let (call, effect) = (self.call(names), self.effect(names));
                Fault::CallError { call, effect, per_mille, limit, lasts }
            }
            Kind::StoreSlow => {
                let extra = draw.millis(&names.of("extra"), 10, 800);
                Fault::StoreSlow { store: self.store(names), extra, lasts }
            }
            Kind::StoreCorruption => {
                // What users read has no checksum of ours.
                let store = keys_with(["/data/", "/log/"][self.either(names, "corrupt")]);
                Fault::StoreCorruption { store, per_mille, limit, lasts }
            }
            Kind::StaleListing => {
                // The log of a job relies on listings that show what was stored before.
                let store = keys_with(["/data", "/_staged"][self.either(names, "listed")]);
                let age = draw.millis(&names.of("age"), 10, 1_000);
                Fault::StaleListing { store, age, lasts }
            }
            Kind::ShortRead => Fault::ShortRead { disk, per_mille, limit, lasts },
            Kind::CorruptRead => Fault::CorruptRead { disk, per_mille, limit, lasts },
            Kind::DiskError => Fault::DiskError { disk, per_mille, limit, lasts },
            Kind::DiskFull => Fault::DiskFull { disk, lasts },
            Kind::BitRot => Fault::BitRot { disk },
        }
    }

    /// Draws how a node dies.
    fn crash(&self, node: String, names: Names) -> Fault {
        let of_node = |what: &str| names.of(&format!("{what} of {node}"));
        let stays_down = self.draw.percent(&of_node("stays down"), 8);
        let down_for = self.millis(&of_node("down"), &self.intensity.lasts);
        let disk = [DiskFate::Kept, DiskFate::Lost][index(self.draw.below(&of_node("disk"), 2))];
        Fault::Crash { node, down_for: (!stays_down).then_some(down_for), disk }
    }

    fn effect(&self, names: Names) -> Effect {
        match self.draw.below(&names.of("effect"), 8) {
            0..3 => Effect::Before,
            3 => Effect::InDoubt,
            4 => Effect::After,
            5 => Effect::Never,
            _ => Effect::Later,
        }
    }

    /// Draws which operations on the store are struck: all, or those on one part of it.
    fn store(&self, names: Names) -> StoreSelector {
        match self.draw.below(&names.of("store"), 8) {
            0 => keys_with("/log"),
            1 => keys_with("/data"),
            2 => keys_with("/_staged"),
            3 => keys_with("/part-"),
            _ => StoreSelector::default(),
        }
    }

    /// Draws which calls are struck. Only some jobs talk to a system outside.
    fn call(&self, names: Names) -> CallSelector {
        let systems = [None, Some("ledger"), Some("queue")];
        let system = systems[index(self.below(&names.of("system"), systems.len()))];
        CallSelector { system: system.map(str::to_owned), operation: None }
    }

    fn nodes(&self) -> Vec<String> {
        let workers = (1..=self.worker_count).map(worker);
        std::iter::once(COORDINATOR.to_owned()).chain(workers).collect()
    }

    /// Draws a node: in three of ten cases the coordinator.
    fn node(&self, names: Names, what: &str) -> String {
        if self.draw.percent(&names.of(&format!("{what} role")), 30) {
            return COORDINATOR.to_owned();
        }
        let number = 1 + self.draw.below(&names.of(what), u64::from(self.worker_count));
        worker(u16::try_from(number).expect("there are few workers"))
    }

    fn lasts(&self, names: Names) -> Duration {
        self.millis(&names.of("lasts"), &self.intensity.lasts)
    }

    fn rate(&self, names: Names) -> u16 {
        self.intensity.rates[index(self.below(&names.of("rate"), self.intensity.rates.len()))]
    }

    fn limit(&self, names: Names) -> u32 {
        let Range { start, end } = self.intensity.limit;
        u32::try_from(start + self.draw.below(&names.of("limit"), end - start)).expect("few")
    }

    fn either(&self, names: Names, what: &str) -> usize {
        index(self.draw.below(&names.of(what), 2))
    }

    fn below(&self, name: &str, count: usize) -> u64 {
        self.draw.below(name, count as u64)
    }

    fn millis(&self, name: &str, range: &Range<u64>) -> Duration {
        self.draw.millis(name, range.start, range.end)
    }
}

fn index(drawn: u64) -> usize {
    usize::try_from(drawn).expect("there are few to choose from")
}
