//! Counting: running totals, per key and over everything, and what a key has seen so far.

use floodmark::{BoxError, Context, Environment, KeyedProcess, ListState, MapState, Stream};
use serde::{Deserialize, Serialize};

use crate::{Example, input, mix, shown};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "hello",
        about: "a hundred greetings, each once",
        build: |env| shown(hello(env)),
    },
    Example {
        name: "running_count",
        about: "how many visits there were so far",
        build: |env| shown(running_count(visits(env))),
    },
    Example {
        name: "visits_per_page",
        about: "how many visits a page had so far",
        build: |env| shown(visits_per_page(visits(env))),
    },
    Example {
        name: "bytes_per_address",
        about: "how many bytes went to an address so far",
        build: |env| shown(bytes_per_address(visits(env))),
    },
    Example {
        name: "odd_and_even",
        about: "the sum of the odd numbers so far, and that of the even ones",
        build: |env| shown(odd_and_even(input(env, "numbers", |number| number))),
    },
    Example {
        name: "pages_of_a_user",
        about: "all pages a user has seen, in order",
        build: |env| shown(pages_of_a_user(visits(env))),
    },
    Example {
        name: "favourites",
        about: "the three pages that a user visits most",
        build: |env| shown(favourites(visits(env))),
    },
];

/// A visit to a web site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    user: u64,
    address: String,
    page: u64,
    bytes: u64,
}

fn visit(index: u64) -> Visit {
    let random = mix(index);
    let user = random % 7;
    // Small numbers come more often.
    let page = (random >> 8) % 6 * ((random >> 16) % 3) / 2;
    let address = format!("10.0.0.{}", user / 2);
    Visit { user, address, page, bytes: (random >> 24) % 1_500 }
}

fn visits(env: &Environment) -> Stream<Visit> {
    input(env, "visits", visit)
}

/// Says hello a hundred times. Whatever fails: not once more, not once less.
pub(crate) fn hello(env: &Environment) -> Stream<String> {
    let greetings = (0..100).map(|_| "Hello".to_owned());
    env.from_vec("greetings", greetings.collect())
}

/// Counts all visits: each is a one, and ones are added up.
pub(crate) fn running_count(visits: Stream<Visit>) -> Stream<u64> {
    visits.map(|_| 1).key_by(|_| ()).reduce(|count, one| count + one).uid("count")
}

/// Counts the visits to each page.
pub(crate) fn visits_per_page(visits: Stream<Visit>) -> Stream<(u64, u64)> {
    visits
        .key_by(|visit| visit.page)
        .stateful(|page, count: &mut u64, _| {
            *count += 1;
            (*page, *count)
        })
        .uid("count")
}

/// Adds up the bytes that went to each address.
pub(crate) fn bytes_per_address(visits: Stream<Visit>) -> Stream<(String, u64)> {
    visits
        .key_by(|visit| visit.address.clone())
        .sum(|visit| &mut visit.bytes)
        .uid("sum")
        .map(|visit| (visit.address, visit.bytes))
}

/// Adds up odd and even numbers: whether a number is even, and the sum of its like.
pub(crate) fn odd_and_even(numbers: Stream<u64>) -> Stream<(bool, u64)> {
    numbers
        .key_by(|number| number.is_multiple_of(2))
        .stateful(|is_even, sum: &mut u64, number| {
            *sum += number;
            (*is_even, *sum)
        })
        .uid("sum")
}

const PAGES: ListState<u64> = ListState::new("pages");

/// Writes down the pages of each user.
#[derive(Clone)]
struct History;

impl KeyedProcess for History {
    type Key = u64;
    type In = Visit;
    type Out = (u64, Vec<u64>);

    fn on_element(
        &mut self,
        visit: Visit,
        cx: &mut Context<'_, u64, (u64, Vec<u64>)>,
    ) -> Result<(), BoxError> {
        cx.state(PAGES).push(visit.page);
        let pages = cx.state(PAGES).get();
        cx.emit((visit.user, pages));
        Ok(())
    }
}

/// Emits, with every visit, all pages the user has seen so far.
pub(crate) fn pages_of_a_user(visits: Stream<Visit>) -> Stream<(u64, Vec<u64>)> {
    visits.key_by(|visit| visit.user).process(History).uid("history")
}

const VISITS: MapState<u64, u64> = MapState::new("visits");

/// Counts the visits of each user to each page.
#[derive(Clone)]
struct Favourites;

/// Pages in a list of favourites.
const FAVOURITE_COUNT: usize = 3;

impl KeyedProcess for Favourites {
    type Key = u64;
    type In = Visit;
    type Out = (u64, Vec<u64>);

    fn on_element(
        &mut self,
        visit: Visit,
        cx: &mut Context<'_, u64, (u64, Vec<u64>)>,
    ) -> Result<(), BoxError> {
        cx.state(VISITS).update(visit.page, |count| *count += 1);
        let mut pages: Vec<(u64, u64)> =
            cx.state(VISITS).iter().map(|(page, count)| (*count, *page)).collect();
        pages.sort_by_key(|(count, page)| (std::cmp::Reverse(*count), *page));
        let favourites = pages.into_iter().take(FAVOURITE_COUNT).map(|(_, page)| page);
        cx.emit((visit.user, favourites.collect()));
        Ok(())
    }
}

/// Emits, with every visit, the three pages that its user visits most; of equal ones the first.
pub(crate) fn favourites(visits: Stream<Visit>) -> Stream<(u64, Vec<u64>)> {
    visits.key_by(|visit| visit.user).process(Favourites).uid("favourites")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{COUNT, simulate, sorted};

    fn all() -> Vec<Visit> {
        (0..COUNT).map(visit).collect()
    }

    /// What a user has seen, after each visit.
    fn seen() -> Vec<(u64, Vec<u64>)> {
        let mut seen: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let all = all().into_iter().map(|visit| {
            let pages = seen.entry(visit.user).or_default();
            pages.push(visit.page);
            (visit.user, pages.clone())
        });
        all.collect()
    }

    #[test]
    fn a_hundred_greetings_are_a_hundred() {
        simulate(hello).check(|greetings| assert_eq!(greetings, vec!["Hello"; 100]));
    }

    #[test]
    fn every_visit_counts_once() {
        simulate(|env| running_count(visits(env)))
            .check(|counts| assert_eq!(sorted(counts.to_vec()), Vec::from_iter(1..=COUNT)));
    }

    #[test]
    fn every_page_has_its_visits() {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        let expected = sorted(all().into_iter().map(|visit| {
            let count = counts.entry(visit.page).or_default();
            *count += 1;
            (visit.page, *count)
        }));
        simulate(|env| visits_per_page(visits(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn every_address_has_its_bytes() {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        let expected = sorted(all().into_iter().map(|visit| {
            let sum = sums.entry(visit.address.clone()).or_default();
            *sum += visit.bytes;
            (visit.address, *sum)
        }));
        simulate(|env| bytes_per_address(visits(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn odd_and_even_do_not_mix() {
        simulate(|env| odd_and_even(input(env, "numbers", |number| number))).check(|sums| {
            assert_eq!(sums.len() as u64, COUNT);
            let last = |is_even| sums.iter().filter(|sum| sum.0 == is_even).map(|sum| sum.1).max();
            assert_eq!(last(true), Some((0..COUNT).step_by(2).sum()));
            assert_eq!(last(false), Some((1..COUNT).step_by(2).sum()));
        });
    }

    #[test]
    fn nothing_is_missing_in_a_history() {
        let expected = sorted(seen());
        simulate(|env| pages_of_a_user(visits(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn favourites_are_visited_most() {
        let expected = sorted(seen().into_iter().map(|(user, pages)| {
            let count = |page: u64| pages.iter().filter(|seen| **seen == page).count();
            let mut best: Vec<u64> = (0..10).filter(|page| 0 < count(*page)).collect();
            // The sort is stable: of equal ones the first stays first.
            best.sort_by_key(|page| pages.len() - count(*page));
            best.truncate(FAVOURITE_COUNT);
            (user, best)
        }));
        simulate(|env| favourites(visits(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }
}
