//! Plain words for numbers, spans, kinds of frames and laws.

use std::time::Duration;

/// Returns a moment.
pub(super) fn seconds(at: Duration) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

/// Returns how long something took.
pub(super) fn span(span: Duration) -> String {
    match span.as_millis() {
        0..1_000 => format!("{} ms", span.as_millis()),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}

/// Returns `1 worker`, or `3 workers`.
pub(super) fn count(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
        _ => return check.to_owned(),
    };
    format!("{law} ({check})")
}
