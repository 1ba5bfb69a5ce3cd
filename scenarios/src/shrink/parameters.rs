//! Faults with simpler numbers: shorter, rounder, and without chance.

use std::time::Duration;

use floodmark_sim::{DiskFate, Fault, PlannedFault, When};

/// Returns simpler versions of a fault, the simplest first.
type Change = fn(&PlannedFault) -> Vec<PlannedFault>;

/// What is tried, one after the other.
pub(super) const CHANGES: &[Change] =
    &[fewer_strikes, without_chance, kept_disk, shorter, slighter, at_once];

fn changed(fault: &PlannedFault, change: impl FnOnce(&mut PlannedFault)) -> Vec<PlannedFault> {
    let mut simpler = fault.clone();
    change(&mut simpler);
    if simpler == *fault { Vec::new() } else { vec![simpler] }
}

/// Returns the probability and the limit of a fault, if it has them.
fn chance(fault: &mut Fault) -> Option<(&mut u16, &mut u32)> {
    match fault {
        Fault::Lose { per_mille, limit, .. }
        | Fault::Duplicate { per_mille, limit, .. }
        | Fault::Reorder { per_mille, limit, .. }
        | Fault::StoreError { per_mille, limit, .. }
        | Fault::CallError { per_mille, limit, .. }
        | Fault::StoreCorruption { per_mille, limit, .. }
        | Fault::ShortRead { per_mille, limit, .. }
        | Fault::CorruptRead { per_mille, limit, .. }
        | Fault::DiskError { per_mille, limit, .. } => Some((per_mille, limit)),
        Fault::Crash { .. }
        | Fault::Pause { .. }
        | Fault::Partition { .. }
        | Fault::Clog { .. }
        | Fault::Slow { .. }
        | Fault::Reset { .. }
        | Fault::Jump { .. }
        | Fault::Drift { .. }
        | Fault::StoreSlow { .. }
        | Fault::StaleListing { .. }
        | Fault::DiskFull { .. }
        | Fault::BitRot { .. } => None,
    }
}

/// Returns how long a fault lasts, if it lasts.
fn lasting(fault: &mut Fault) -> Option<&mut Duration> {
    match fault {
        Fault::Crash { down_for: Some(lasts), .. }
        | Fault::Pause { lasts, .. }
        | Fault::Partition { lasts, .. }
        | Fault::Clog { lasts, .. }
        | Fault::Slow { lasts, .. }
        | Fault::Lose { lasts, .. }
        | Fault::Duplicate { lasts, .. }
        | Fault::Reorder { lasts, .. }
        | Fault::StoreError { lasts, .. }
        | Fault::CallError { lasts, .. }
        | Fault::StoreSlow { lasts, .. }
        | Fault::StoreCorruption { lasts, .. }
        | Fault::StaleListing { lasts, .. }
        | Fault::ShortRead { lasts, .. }
        | Fault::CorruptRead { lasts, .. }
        | Fault::DiskError { lasts, .. }
        | Fault::DiskFull { lasts, .. } => Some(lasts),
        Fault::Crash { down_for: None, .. }
        | Fault::Reset { .. }
        | Fault::Jump { .. }
        | Fault::Drift { .. }
        | Fault::BitRot { .. } => None,
    }
}

fn fewer_strikes(fault: &PlannedFault) -> Vec<PlannedFault> {
    changed(fault, |simpler| {
        if let Some((_, limit)) = chance(&mut simpler.what) {
            *limit = 1;
        }
    })
}

fn without_chance(fault: &PlannedFault) -> Vec<PlannedFault> {
    changed(fault, |simpler| {
        if let Some((per_mille, _)) = chance(&mut simpler.what) {
            *per_mille = 1_000;
        }
    })
}

fn kept_disk(fault: &PlannedFault) -> Vec<PlannedFault> {
    changed(fault, |simpler| {
        if let Fault::Crash { disk, .. } = &mut simpler.what {
            *disk = DiskFate::Kept;
        }
    })
}

fn shorter(fault: &PlannedFault) -> Vec<PlannedFault> {
    let Some(lasts) = lasting(&mut fault.what.clone()).copied() else { return Vec::new() };
    let with = |simple: Duration| {
        changed(fault, |simpler| {
            if let Some(lasts) = lasting(&mut simpler.what) {
                *lasts = simple;
            }
        })
    };
    simpler_than(lasts).into_iter().flat_map(with).collect()
}

fn slighter(fault: &PlannedFault) -> Vec<PlannedFault> {
    let (Fault::Slow { extra, .. } | Fault::StoreSlow { extra, .. }) = &fault.what else {
        return Vec::new();
    };
    let with = |simple: Duration| {
        changed(fault, |simpler| {
            if let Fault::Slow { extra, .. } | Fault::StoreSlow { extra, .. } = &mut simpler.what {
                *extra = simple;
            }
        })
    };
    simpler_than(*extra).into_iter().flat_map(with).collect()
}

/// Lets a fault follow at once, or at a round time.
fn at_once(fault: &PlannedFault) -> Vec<PlannedFault> {
    let simpler: Vec<When> = match &fault.when {
        When::At(time) => {
            let round = |unit| rounded(*time, unit);
            [1_000, 100, 10].map(round).into_iter().map(When::At).collect()
        }
        When::After { event, occurrence, delay } => {
            let with = |delay| When::After { event: event.clone(), occurrence: *occurrence, delay };
            [Duration::ZERO, rounded(*delay, 10)].map(with).into()
        }
    };
    simpler.into_iter().flat_map(|when| changed(fault, |simpler| simpler.when = when)).collect()
}

/// Returns shorter durations, the shortest first, and the same one rounded.
fn simpler_than(duration: Duration) -> Vec<Duration> {
    let shares = [8, 4, 2].map(|share| rounded(duration / share, 10));
    let simpler = [shares[0], shares[1], shares[2], rounded(duration, 100), rounded(duration, 10)];
    simpler.into_iter().filter(|simpler| *simpler < duration && !simpler.is_zero()).collect()
}

/// Rounds down to whole units of so many milliseconds.
fn rounded(duration: Duration, unit: u64) -> Duration {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis / unit * unit)
}
