//! The catalogue says of every bug what the kill matrix needs.

use std::collections::BTreeSet;

use super::*;
use crate::catalog;

#[test]
fn ids_are_unique_and_in_order() {
    let order = |bug: &Bug| (bug.id.as_bytes()[0], bug.id[1..].parse::<u32>().unwrap());
    assert!(ALL.is_sorted_by(|a, b| order(a) < order(b)));
}

#[test]
fn entries_of_planted_bugs_say_where_and_by_what_they_are_found() {
    let mut planted = 0;
    for Bug { id, state, .. } in ALL {
        let Planted { scenarios, checks, .. } = state else { continue };
        planted += 1;
        assert!(!scenarios.is_empty() && !checks.is_empty(), "{id}");
        assert!(scenarios.iter().all(|name| catalog::find(name).is_some()), "{id}");
        assert_eq!(BTreeSet::from_iter(*checks).len(), checks.len(), "{id}");
    }
    assert_ne!(planted, 0);
}

#[test]
fn every_broken_job_has_one_entry_and_differs_from_the_right_one_in_its_job() {
    let mut entries = Vec::new();
    for Bug { id, state, .. } in ALL {
        let BrokenJob { scenario, right, checks, .. } = state else { continue };
        let scenario = catalog::find(scenario).expect("the broken one exists");
        let right = catalog::find(right).expect("the right one exists");
        assert!(catalog::ALL.iter().any(|one| one.name == right.name), "{id}");
        assert_eq!((scenario.faults)(3), (right.faults)(3), "{id}");
        assert_ne!(scenario.job(3).name, right.job(3).name, "{id}");
        assert!(!checks.is_empty(), "{id}");
        entries.push(scenario.name);
    }
    let broken: Vec<_> = catalog::BROKEN.iter().map(|scenario| scenario.name).collect();
    assert_eq!(entries, broken);
}

#[cfg(feature = "planted-bugs")]
#[test]
fn every_switch_has_one_entry() {
    let switches: Vec<_> = ALL.iter().filter_map(Bug::switch).collect();
    assert_eq!(BTreeSet::from_iter(&switches), Switch::ALL.iter().collect());
    assert_eq!(switches.len(), Switch::ALL.len());
}
