//! Plain words for numbers, spans, kinds of frames and laws.

use std::{collections::BTreeSet, time::Duration};

/// Returns a moment.
pub(super) fn seconds(at: Duration) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

/// Returns how long something took.
pub(super) fn span(span: Duration) -> String {
    match span.as_millis() {
        0..1_000 => format!("{} ms", span.as_millis()),
        _ => {
            let text = format!("{:.3}", span.as_secs_f64());
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// Returns `1 worker`, or `3 workers`.
pub(super) fn count(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Returns `1st`, `2nd`, `3rd` or `4th`.
pub(super) fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Returns `at most one`, or `at most 3`.
pub(super) fn at_most(limit: u32) -> String {
    if limit == 1 { "at most one".to_owned() } else { format!("at most {limit}") }
}

/// Returns things in a row: `a, b and c`, and how many more if there are more than `shown`.
pub(super) fn list(things: &[String], shown: usize) -> String {
    let rest = things.len().saturating_sub(shown);
    match things {
        _ if 0 < rest => format!("{} and {rest} more", things[..shown].join(", ")),
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Returns what frames of a kind are called.
pub(super) fn frames(kind: Option<&str>) -> String {
    match kind {
        None => "messages".to_owned(),
        Some("records") => "batches of records".to_owned(),
        Some("idle") => "signs of idleness".to_owned(),
        Some("pulse") => "pulses (signs of life on channels)".to_owned(),
        Some("credit") => "credits".to_owned(),
        Some(kind) => format!("{kind}s"),
    }
}

/// Returns a share: `1 in 20`.
pub(super) fn share(per_mille: u16) -> String {
    match per_mille {
        0 => "none of the".to_owned(),
        1000.. => "all".to_owned(),
        rare if 1000 % rare == 0 => format!("1 in {} of the", 1000 / rare),
        often => format!("{} % of the", f64::from(often) / 10.0),
    }
}

/// Moments that are taken for epoch milliseconds: from 1973 on, and before the year 2286.
const EPOCH_MILLIS: std::ops::Range<i64> = 100_000_000_000..10_000_000_000_000;

/// Adds the date, once, to each number in a text that is a word of its own and looks like epoch
/// milliseconds.
pub(crate) fn with_dates(text: &str) -> String {
    let mut dated = BTreeSet::new();
    let mut added = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let len = rest.bytes().take_while(u8::is_ascii_digit).count().max(character.len_utf8());
        let (word, after) = rest.split_at(len);
        added.push_str(word);
        let is_word = matches!(before, ' ' | '(') && ends_word(after);
        if let Ok(millis) = word.parse()
            && is_word
            && EPOCH_MILLIS.contains(&millis)
            && dated.insert(millis)
        {
            added.push_str(&format!(" ({})", date(millis)));
        }
        before = word.chars().last().unwrap_or(' ');
        rest = after;
    }
    added
}

/// Returns whether a word ends where `after` follows it.
fn ends_word(after: &str) -> bool {
    let after = after.trim_start_matches([',', ';', ':', ')', '.']);
    after.is_empty() || after.starts_with(' ')
}

/// Returns the date and time of day of epoch milliseconds, in UTC.
fn date(millis: i64) -> String {
    const YEARS_400: i64 = 146_097;
    let (day, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    // Years that begin in March end with the day that some have and others have not.
    let since_march = day + 719_468;
    let (era, of_era) = (since_march.div_euclid(YEARS_400), since_march.rem_euclid(YEARS_400));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let is_next = i64::from(10 <= month);
    let (year, month) = (400 * era + year + is_next, month + 3 - 12 * is_next);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns what a check demands.
pub(crate) fn law(check: &str) -> String {
    let law = match check {
        "exactly_once" => "every result must be written exactly once",
        "consistent_cut" => "both ends of a channel must cut it at the same record",
        "watermarks" => "event time must never go back",
        "restore" => "what is restored must be what was stored last",
        "two_phase" => "what a checkpoint covers must be committed, and nothing else",
        "fencing" => "what is past must not act any more",
        "conservation" => "no record may vanish uncounted",
        "liveness" => "when everything has healed, the job must end",
        "determinism" => "one seed must be one run",
        "references" => "what a checkpoint refers to must exist, and nothing else for long",
        "key_groups" => "every key must have one owner",
        "errors" => "damage must be told, and never pass for success",
        "timers" => "every timer must fire exactly once",
        "drift" => "sources of a group must wait for the slowest",
        _ => return check.to_owned(),
    };
    format!("{law} ({check})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_looks_like_a_moment_gets_its_date_once() {
        let check = |text: &str, expected: &str| assert_eq!(with_dates(text), expected);
        check(
            "at 1357856399999, and then at 1357856399999",
            "at 1357856399999 (2013-01-10T22:19:59.999Z), and then at 1357856399999",
        );
        check("watermark 951782400000", "watermark 951782400000 (2000-02-29T00:00:00.000Z)");
        check("(1735689599000)", "(1735689599000 (2024-12-31T23:59:59.000Z))");
        for other in ["UA,1359284400000,3", "1234", "hash 1357856399999f", "level,5000,1 → 7", ""]
        {
            check(other, other);
        }
    }
}
