//! What is made of all elements of a window.

use floodmark::{
    BoxError, Data, Key, OutputTag, ValueState, Values, Window, WindowContext, WindowProcess,
};

use crate::conformance::{
    event::{Event, Parameters},
    pipeline::tag,
    row::{Row, Value},
};

/// What a stream of elements is keyed by.
pub(crate) trait Named: Key {
    /// Returns the key as a row shows it.
    fn value(&self) -> Value;
}

impl Named for String {
    fn value(&self) -> Value {
        self.as_str().into()
    }
}

impl Named for () {
    fn value(&self) -> Value {
        Value::Null
    }
}

/// Returns the fields that say which window it is.
pub(crate) fn of_window<K: Named>(key: &K, window: Window) -> Row {
    let bound = |time| if window.is_global() { Value::Null } else { Value::from(time) };
    let (start, end) = (bound(window.start), bound(window.end));
    Row::default().with("key", key.value()).with("start", start).with("end", end)
}

/// Adds the window and the watermark to the one result of a window.
pub(crate) struct WithWatermark<K, R, F> {
    fields: F,
    types: std::marker::PhantomData<fn(K) -> R>,
}

impl<K, R, F: Fn(R) -> Row> WithWatermark<K, R, F> {
    pub(crate) fn new(fields: F) -> Self {
        Self { fields, types: std::marker::PhantomData }
    }
}

impl<K, R, F: Clone> Clone for WithWatermark<K, R, F> {
    fn clone(&self) -> Self {
        Self { fields: self.fields.clone(), types: self.types }
    }
}

impl<K, R, F> WindowProcess for WithWatermark<K, R, F>
where
    K: Named,
    R: Data,
    F: Fn(R) -> Row + Send + 'static,
{
    type Key = K;
    type In = R;
    type Out = Row;

    fn process(
        &mut self,
        values: Values<'_, R>,
        cx: &mut WindowContext<'_, K, Row>,
    ) -> Result<(), BoxError> {
        for result in values.iter() {
            let row = of_window(cx.key(), cx.window()).and((self.fields)(result.clone()));
            let watermark = cx.current_watermark();
            cx.emit(row.with("wm", watermark));
        }
        Ok(())
    }
}

/// A function over all elements of a window.
pub(crate) struct Full<K> {
    kind: Kind,
    n: i64,
    big: Option<OutputTag<Event>>,
    key: std::marker::PhantomData<fn() -> K>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    ListSorted,
    ListTimes,
    Count,
    CountAtWatermark,
    Statistics,
    Top,
    Firings,
    KeyFirings,
    SideBig,
}

const FIRINGS: ValueState<i64> = ValueState::new("firings");

impl<K> Clone for Full<K> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, n: self.n, big: self.big, key: self.key }
    }
}

impl<K> Full<K> {
    pub(crate) fn new(function: &Parameters) -> Result<Self, String> {
        let kind = match function.text("fn").unwrap_or_default() {
            "list" => Kind::List,
            "list_sorted" => Kind::ListSorted,
            "list_ts" => Kind::ListTimes,
            "count" => Kind::Count,
            "count_wm" => Kind::CountAtWatermark,
            "stats" => Kind::Statistics,
            "top_n" => Kind::Top,
            "firings" => Kind::Firings,
            "key_firings" => Kind::KeyFirings,
            "side_big" => Kind::SideBig,
            other => return Err(format!("the window function {other} is not supported")),
        };
        let n = function.int("n").unwrap_or_default();
        let key = std::marker::PhantomData;
        Ok(Self { kind, n, big: function.text("tag").map(tag), key })
    }
}

impl<K: Named> WindowProcess for Full<K> {
    type Key = K;
    type In = Event;
    type Out = Row;

    fn process(
        &mut self,
        events: Values<'_, Event>,
        cx: &mut WindowContext<'_, K, Row>,
    ) -> Result<(), BoxError> {
        let row = of_window(cx.key(), cx.window());
        let numbers = || events.iter().map(|event| event.v);
        let count = i64::try_from(events.len())?;
        let row = match self.kind {
            Kind::List => row.with("values", numbers().collect::<Vec<_>>()),
            Kind::ListSorted => row.with("values", sorted(numbers().collect())),
            Kind::ListTimes => {
                let pair = |event: &Event| Value::from(vec![event.ts, event.v]);
                row.with("elements", events.iter().map(pair).collect::<Vec<_>>())
            }
            Kind::Count => row.with("count", count),
            Kind::CountAtWatermark => row.with("count", count).with("wm", cx.current_watermark()),
            Kind::Statistics => row
                .with("count", count)
                .with("sum", numbers().fold(0, i64::wrapping_add))
                .with("min", numbers().min())
                .with("max", numbers().max()),
            Kind::Top => {
                let largest = sorted(numbers().collect()).into_iter().rev();
                row.with("top", largest.take(usize::try_from(self.n)?).collect::<Vec<_>>())
            }
            Kind::Firings | Kind::KeyFirings => {
                let row = row.with("count", count);
                let row = if self.kind == Kind::Firings {
                    cx.window_state(FIRINGS).update(|firings| *firings += 1);
                    row.with("window_firings", cx.window_state(FIRINGS).or_default())
                } else {
                    row
                };
                cx.state(FIRINGS).update(|firings| *firings += 1);
                row.with("key_firings", cx.state(FIRINGS).or_default())
            }
            Kind::SideBig => {
                let big: Vec<_> = events.iter().filter(|event| self.n <= event.v).collect();
                if let Some(tag) = self.big {
                    big.iter().for_each(|event| cx.emit_to(tag, (*event).clone()));
                }
                row.with("count", count).with("big", i64::try_from(big.len())?)
            }
        };
        cx.emit(row);
        Ok(())
    }

    fn clear(&mut self, cx: &mut WindowContext<'_, K, Row>) -> Result<(), BoxError> {
        if self.kind == Kind::Firings {
            cx.window_state(FIRINGS).clear();
        }
        Ok(())
    }
}

fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort_unstable();
    numbers
}
