//! Durations as text: a whole number and a unit.

use std::time::Duration;

/// The units, longest first, with their length in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration like `10 s` or `500ms`.
///
/// # Errors
///
/// What is wrong with it, as the end of a sentence.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    if number.is_empty() {
        return Err("which begins with no whole number".to_owned());
    }
    if unit.is_empty() {
        return Err("which has no unit".to_owned());
    }
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<_> = UNITS.iter().rev().map(|(name, _)| format!("`{name}`")).collect();
        return Err(format!("whose unit is none of {}", names.join(", ")));
    };
    let nanoseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*length));
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| "which is longer than 584 years".to_owned())
}

/// Writes a duration in the longest unit that needs no fraction. One longer than 584 years, which
/// cannot be read again, becomes that long.
pub(super) fn format(duration: Duration) -> String {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanoseconds == 0 {
        return "0 s".to_owned();
    }
    let fits = |(_, length): &&(&str, u64)| nanoseconds.is_multiple_of(*length);
    let (unit, length) = UNITS.iter().find(fits).expect("nanoseconds always fit");
    format!("{} {unit}", nanoseconds / length)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, want: Expect) {
        want.assert_eq(&match parse(text) {
            Ok(duration) => format!("{duration:?} = {}", format(duration)),
            Err(reason) => reason,
        });
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        check("10 s", expect!["10s = 10 s"]);
        check("500ms", expect!["500ms = 500 ms"]);
        check(" 90   min ", expect!["5400s = 90 min"]);
        check("120 s", expect!["120s = 2 min"]);
        check("24 h", expect!["86400s = 1 d"]);
        check("1500 us", expect!["1.5ms = 1500 us"]);
        check("7 ns", expect!["7ns = 7 ns"]);
        check("0 ms", expect!["0ns = 0 s"]);
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        check("", expect!["which begins with no whole number"]);
        check("soon", expect!["which begins with no whole number"]);
        check("-1 s", expect!["which begins with no whole number"]);
        check("10", expect!["which has no unit"]);
        let units = "whose unit is none of `ns`, `us`, `ms`, `s`, `min`, `h`, `d`";
        for text in ["10 seconds", "1.5 s", "1 min 30 s", "10 S"] {
            assert_eq!(parse(text), Err(units.to_owned()), "{text}");
        }
        check("999999999 d", expect!["which is longer than 584 years"]);
        check("99999999999999999999 ns", expect!["which is longer than 584 years"]);
    }
}
