//! What is kept of a window in one value.

use std::collections::BTreeSet;

use floodmark::Aggregate;
use serde::{Deserialize, Serialize};

use crate::conformance::{event::Event, row::Row};

/// Makes one element of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Sum,
    Max,
    Min,
    First,
    Last,
    Concat,
    MinBy,
    MaxBy,
    MinByLast,
    MaxByLast,
}

impl Reduction {
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        Ok(match name {
            "sum" => Self::Sum,
            "max" => Self::Max,
            "min" => Self::Min,
            "first" => Self::First,
            "last" => Self::Last,
            "concat" => Self::Concat,
            "min_by" => Self::MinBy,
            "max_by" => Self::MaxBy,
            "min_by_last" => Self::MinByLast,
            "max_by_last" => Self::MaxByLast,
            _ => return Err(format!("the reduction {name} is not supported")),
        })
    }

    /// Returns what is done with two elements.
    pub(crate) fn function(self) -> impl FnMut(Event, Event) -> Event + Clone {
        let choose = |is_next, kept: Event, next: Event| if is_next { next } else { kept };
        move |kept, next| match self {
            Self::MinBy => choose(next.v < kept.v, kept, next),
            Self::MaxBy => choose(kept.v < next.v, kept, next),
            Self::MinByLast => choose(next.v <= kept.v, kept, next),
            Self::MaxByLast => choose(kept.v <= next.v, kept, next),
            Self::Sum => Event { v: kept.v.wrapping_add(next.v), ..kept },
            Self::Max => Event { v: kept.v.max(next.v), ..kept },
            Self::Min => Event { v: kept.v.min(next.v), ..kept },
            Self::First => kept,
            Self::Last => next,
            Self::Concat => {
                Event { v: kept.v.wrapping_add(next.v), c: kept.c.clone() + &next.c, ..kept }
            }
        }
    }

    /// Returns the fields of a row about the result.
    pub(crate) fn fields(self, event: Event) -> Row {
        let row = Row::default().with("v", event.v);
        if self == Self::Concat { row.with("c", event.c) } else { row }
    }
}

/// Makes a row of any number of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Count,
    Mean,
    Range,
    Distinct,
}

/// What an aggregation keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    sum: i64,
    count: i64,
    min: i64,
    max: i64,
    /// Only kept where they are counted.
    values: BTreeSet<i64>,
}

impl Aggregation {
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        Ok(match name {
            "sum" => Self::Sum,
            "count" => Self::Count,
            "avg" => Self::Mean,
            "range" => Self::Range,
            "distinct" => Self::Distinct,
            _ => return Err(format!("the aggregation {name} is not supported")),
        })
    }
}

impl Aggregate for Aggregation {
    const IS_COMMUTATIVE: bool = true;

    type In = Event;
    type Acc = Kept;
    type Out = Row;

    fn init(&self) -> Kept {
        Kept { sum: 0, count: 0, min: i64::MAX, max: i64::MIN, values: BTreeSet::new() }
    }

    fn add(&self, kept: &mut Kept, event: Event) {
        kept.sum = kept.sum.wrapping_add(event.v);
        kept.count += 1;
        kept.min = kept.min.min(event.v);
        kept.max = kept.max.max(event.v);
        if *self == Self::Distinct {
            kept.values.insert(event.v);
        }
    }

    fn finish(&self, Kept { sum, count, min, max, values }: Kept) -> Row {
        let row = Row::default();
        match self {
            Self::Sum => row.with("sum", sum),
            Self::Count => row.with("count", count),
            Self::Mean => {
                let mean = (i128::from(sum) * 1_000).div_euclid(i128::from(count.max(1)));
                let mean = i64::try_from(mean).unwrap_or(i64::MAX);
                row.with("sum", sum).with("n", count).with("avg_milli", mean)
            }
            Self::Range => {
                row.with("min", min).with("max", max).with("range", max.wrapping_sub(min))
            }
            Self::Distinct => row.with("distinct", i64::try_from(values.len()).unwrap_or(i64::MAX)),
        }
    }

    fn merge(&self, left: Kept, right: Kept) -> Kept {
        Kept {
            sum: left.sum.wrapping_add(right.sum),
            count: left.count + right.count,
            min: left.min.min(right.min),
            max: left.max.max(right.max),
            values: left.values.into_iter().chain(right.values).collect(),
        }
    }
}
