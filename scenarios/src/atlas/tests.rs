//! Tests of the atlas: with its page, and with the plans of the scenarios.

use std::{collections::BTreeSet, time::Duration};

use floodmark_sim::StoreSelector;

use super::*;
use crate::{
    catalog,
    faults::{at, keys_with, swarm},
};

const PAGE: &str = include_str!("../../../docs/fault-atlas.md");

/// Returns the page without line breaks.
fn page() -> String {
    PAGE.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_has_every_kind_with_its_class() {
    for kind in Kind::ALL {
        let begin = format!("| `{kind:?}`");
        let rows: Vec<_> = PAGE.lines().filter(|line| line.starts_with(&begin)).collect();
        assert!(!rows.is_empty(), "no row begins with {begin:?}");
        let title = kind.class().title();
        let is_classified = |row: &&str| row.contains(&format!("| {title} |"));
        assert!(rows.iter().any(is_classified), "no row of {kind:?} says {title:?}");
    }
    let effects = ["Before", "InDoubt", "After", "Never", "Later"];
    let parts = effects.iter().chain(&["Kept", "Lost", "Both", "OneWay"]);
    for part in parts {
        assert!(PAGE.contains(&format!("`{part}`")), "the page does not speak of {part}");
    }
}

#[test]
fn the_page_has_every_limit_with_its_reason() {
    let page = page();
    for Limit { what, reason } in LIMITS {
        let row = format!("| {what} | {reason} |");
        assert!(page.contains(&row), "the page has no row {row:?}");
    }
    let rows = PAGE.split("## What is never injected").nth(1).expect("the section is there");
    // A head, and a line below it.
    assert_eq!(rows.lines().filter(|line| line.starts_with('|')).count(), LIMITS.len() + 2);
}

#[test]
fn all_kinds_are_different() {
    assert_eq!(BTreeSet::from(Kind::ALL).len(), Kind::ALL.len());
}

#[test]
fn no_scenario_asks_for_what_nobody_survives() {
    for scenario in catalog::ALL {
        for seed in 0..300 {
            let objection = objection(&(scenario.faults)(seed));
            assert_eq!(objection, None, "{} with seed {seed}", scenario.name);
        }
    }
}

#[test]
fn the_swarm_draws_every_kind_and_form() {
    let drawn: Vec<_> = (0..3_000).flat_map(|seed| swarm(seed, 3).0).collect();
    let kinds: BTreeSet<_> = drawn.iter().map(|fault| Kind::of(&fault.what)).collect();
    assert_eq!(kinds, BTreeSet::from(Kind::ALL));
    let words: Vec<_> = drawn.iter().map(ToString::to_string).collect();
    let forms = [
        "with its disk",
        "with a new disk",
        "stays down",
        "ledger work, and end in doubt",
        "anyone have no effect, and end in doubt",
        "anyone work, and end in doubt",
        "anyone end in doubt, and work later",
        "\"/log/\" by anyone yield a changed byte",
        "of checkpoint",
    ];
    for form in forms {
        assert!(words.iter().any(|words| words.contains(form)), "no fault says {form:?}");
    }
}

#[test]
fn forms_that_nobody_survives_are_found() {
    let lasts = Duration::from_secs(1);
    let stale = |store| Fault::StaleListing { store, age: lasts, lasts };
    let corrupt = |store| Fault::StoreCorruption { store, per_mille: 50, limit: 3, lasts };
    let drift = |ppm| Fault::Drift { node: "worker-1".to_owned(), ppm };
    let only = |operation, part| StoreSelector { operation: Some(operation), ..keys_with(part) };
    let limit = |fault| objection(&FaultPlan(vec![at(lasts, fault)])).map(|found| found.limit);
    assert_eq!(limit(stale(StoreSelector::default())), Some(&STALE_LOG));
    assert_eq!(limit(stale(keys_with("/log"))), Some(&STALE_LOG));
    assert_eq!(limit(stale(keys_with("checkpoints"))), Some(&STALE_LOG));
    assert_eq!(limit(stale(keys_with("/data"))), None);
    assert_eq!(limit(stale(only(Operation::Get, "/log"))), None);
    assert_eq!(limit(corrupt(StoreSelector::default())), Some(&CORRUPT_INPUT));
    assert_eq!(limit(corrupt(keys_with("input"))), Some(&CORRUPT_INPUT));
    assert_eq!(limit(corrupt(keys_with("/_staged"))), Some(&CORRUPT_STAGED_PART));
    assert_eq!(limit(corrupt(keys_with("/log/"))), None);
    assert_eq!(limit(corrupt(only(Operation::List, "input"))), None);
    assert_eq!(limit(drift(-200_000)), None);
    assert_eq!(limit(drift(200_001)), Some(&WILD_CLOCK));
}

#[test]
fn an_objection_names_the_fault_among_many() {
    let lasts = Duration::from_secs(1);
    let pause = Fault::Pause { node: "worker-1".to_owned(), lasts };
    let stale = Fault::StaleListing { store: keys_with("/log"), age: lasts, lasts };
    let found = objection(&FaultPlan(vec![at(lasts, pause), at(2 * lasts, stale)]));
    let words = found.expect("the second is not survived").to_string();
    assert!(words.starts_with("at 2s: any operation of keys with \"/log\""), "{words}");
    assert!(words.contains("emptied slot"), "{words}");
}
