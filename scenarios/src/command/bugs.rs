//! `floodmark bugs`: hunts planted bugs, and mistakes in jobs, and shows the kill matrix.

use clap::Args;

/// What is hunted, and how long.
#[derive(Args)]
pub(crate) struct BugsArguments {
    /// Only these bugs, by id (`M12`) or name; all that can be hunted if none is named.
    #[arg(long = "bug", value_name = "NAME", num_args = 1..)]
    bugs: Vec<String>,
    /// Seeds in each of five ranges; a bug is hunted in a range until the first failure.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// Threads; one per core if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Shows the bugs that are not planted, too, and what they wait for.
    #[arg(long)]
    all: bool,
    /// One JSON object per bug, and one for all.
    #[arg(long)]
    json: bool,
}

/// Says how to build the command so that it can plant bugs.
///
/// # Errors
///
/// Always: there are no bugs in this build.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) fn bugs(_: &BugsArguments) -> Result<bool, String> {
    Err("this build has no planted bugs in it; `cargo run --release --package \
         floodmark-scenarios --features planted-bugs -- bugs` builds one that has"
        .to_owned())
}

#[cfg(feature = "planted-bugs")]
pub(crate) use with_bugs::bugs;

#[cfg(feature = "planted-bugs")]
mod with_bugs {
    use std::{collections::BTreeMap, fmt::Display, thread};

    use floodmark_scenarios::{
        bugs::{ALL, Bug},
        kill_matrix::{Hunt, HuntOptions, Kill, RANGE_COUNT, hunt},
    };
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    use super::BugsArguments;

    /// A bug should not need more seeds than this.
    const QUICK: u64 = 200;

    /// Hunts the bugs and shows what came of it. Returns whether none survived.
    ///
    /// # Errors
    ///
    /// When a bug is named that does not exist or is not planted.
    pub(crate) fn bugs(arguments: &BugsArguments) -> Result<bool, String> {
        let chosen = choose(&arguments.bugs)?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let options = HuntOptions {
            range_count: RANGE_COUNT,
            seed_count: arguments.seeds,
            thread_count: arguments.threads.unwrap_or(cores),
        };
        let bar = progress_bar(chosen.len(), arguments.json);
        if !arguments.json {
            show_head();
        }
        let mut hunts = Vec::new();
        for bug in chosen {
            bar.set_message(bug.id);
            let hunt = hunt(bug, options, || bar.inc(1));
            bar.suspend(|| show(&hunt, options.seed_count, arguments.json));
            hunts.push(hunt);
        }
        bar.finish_and_clear();
        show_summary(&hunts, arguments);
        Ok(hunts.iter().all(Hunt::is_found))
    }

    fn choose(names: &[String]) -> Result<Vec<&'static Bug>, String> {
        if names.is_empty() {
            return Ok(ALL.iter().filter(|bug| bug.reason_to_wait().is_none()).collect());
        }
        let choose = |name: &String| {
            let bug = Bug::find(name).ok_or_else(|| {
                format!("there is no bug {name:?}; `floodmark bugs --all` shows those there are")
            })?;
            match bug.reason_to_wait() {
                None => Ok(bug),
                Some(reason) => Err(format!("the bug {} {reason}", bug.id)),
            }
        };
        names.iter().map(choose).collect()
    }

    fn progress_bar(bug_count: usize, is_hidden: bool) -> ProgressBar {
        let bar = ProgressBar::new(bug_count as u64 * RANGE_COUNT);
        if is_hidden {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = "{bar:40} {pos}/{len} ranges of seeds, {elapsed} so far, hunting {msg}";
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        bar.set_style(style);
        bar
    }

    fn show_head() {
        println!(
            "{:5} {:28} {:>6} {:>7} {:>10} {:>8}  check that spoke",
            "bug", "mistake", "found", "seeds", "events", "seconds"
        );
    }

    /// The checks that spoke, and how often.
    fn checks(hunt: &Hunt) -> BTreeMap<&str, u64> {
        let mut checks = BTreeMap::new();
        for kill in hunt.sound_kills() {
            *checks.entry(kill.check.as_str()).or_default() += 1;
        }
        checks
    }

    fn show(hunt: &Hunt, seed_count: u64, json: bool) {
        if json {
            println!("{}", to_json(hunt));
            return;
        }
        let name = hunt.bug.name().unwrap_or_default();
        let found = format!("{}/{}", hunt.sound_kills().count(), hunt.kills.len());
        let seeds = median(hunt.median(|kill| kill.run_count), &format!("> {seed_count}"));
        let events = median(hunt.median(|kill| kill.event_count), "");
        let seconds =
            hunt.median(|kill| kill.time).map(|time| format!("{:.2}", time.as_secs_f64()));
        let seconds = median(seconds, "");
        let checks: Vec<_> =
            checks(hunt).into_iter().map(|(check, count)| format!("{check} {count}×")).collect();
        let verdict = match (hunt.right_count(), hunt.sound_kills().count()) {
            (_, 0) => "SURVIVES".to_owned(),
            (right, count) if right == count => "right".to_owned(),
            (right, count) => {
                format!("WRONG {} of {count}, expected {}", count - right, hunt.bug.checks()[0])
            }
        };
        println!(
            "{:5} {name:28} {found:>6} {seeds:>7} {events:>10} {seconds:>8}  {} {verdict}",
            hunt.bug.id,
            checks.join(", "),
        );
        for kill in hunt.kills.iter().flatten().filter(|kill| !kill.is_sound) {
            let Kill { scenario, seed, check, reason, .. } = kill;
            println!(
                "      not its own: {scenario} --seed {seed} fails without it: {check}: {reason}"
            );
        }
    }

    fn median(value: Option<impl Display>, otherwise: &str) -> String {
        value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
    }

    fn to_json(hunt: &Hunt) -> serde_json::Value {
        let kill = |kill: &Kill| {
            serde_json::json!({
                "scenario": kill.scenario,
                "seed": kill.seed,
                "check": kill.check,
                "reason": kill.reason,
                "seeds": kill.run_count,
                "events": kill.event_count,
                "seconds": kill.time.as_secs_f64(),
                "sound": kill.is_sound,
            })
        };
        serde_json::json!({
            "bug": hunt.bug.id,
            "name": hunt.bug.name(),
            "source": hunt.bug.source,
            "mistake": hunt.bug.mistake,
            "expected": hunt.bug.checks(),
            "ok": hunt.is_found(),
            "ranges": hunt.kills.len(),
            "found": hunt.sound_kills().count(),
            "right": hunt.right_count(),
            "checks": checks(hunt),
            "median_seeds": hunt.median(|kill| kill.run_count),
            "median_events": hunt.median(|kill| kill.event_count),
            "median_seconds": hunt.median(|kill| kill.time).map(|time| time.as_secs_f64()),
            "kills": hunt.kills.iter().flatten().map(kill).collect::<Vec<_>>(),
        })
    }

    fn show_summary(hunts: &[Hunt], arguments: &BugsArguments) {
        let found = hunts.iter().filter(|hunt| hunt.is_found()).count();
        let kills = || hunts.iter().flat_map(Hunt::sound_kills);
        let ranges = hunts.iter().map(|hunt| hunt.kills.len()).sum();
        let quick = percent(kills().filter(|kill| kill.run_count <= QUICK).count(), ranges);
        let right = percent(hunts.iter().map(Hunt::right_count).sum(), kills().count());
        let waiting = || ALL.iter().filter_map(|bug| Some((bug, bug.reason_to_wait()?)));
        if arguments.json {
            let summary = serde_json::json!({
                "commit": floodmark_scenarios::COMMIT,
                "bugs": hunts.len(),
                "found": found,
                "within_200_seeds_percent": quick,
                "right_check_percent": right,
                "not_planted": waiting().count(),
            });
            if arguments.all {
                waiting().for_each(|(bug, reason)| println!("{}", waiting_json(bug, &reason)));
            }
            println!("{summary}");
            return;
        }
        if arguments.all {
            println!();
            for (bug, reason) in waiting() {
                println!("{:5} {} ({reason}; {})", bug.id, bug.mistake, bug.source);
            }
            println!();
        }
        println!(
            "found {found} of {}, within {QUICK} seeds {quick} %, right check {right} %; {} not \
             planted",
            hunts.len(),
            waiting().count(),
        );
    }

    fn waiting_json(bug: &Bug, reason: &str) -> serde_json::Value {
        serde_json::json!({
            "bug": bug.id, "source": bug.source, "mistake": bug.mistake, "not_planted": reason,
        })
    }

    /// Returns a share in whole percent, rounded down: only all is 100.
    fn percent(part: usize, whole: usize) -> usize {
        (100 * part).checked_div(whole).unwrap_or(0)
    }
}
