//! Running results per key: one for every record.

use std::ops::AddAssign;

use floodmark_dataflow::operators::{KeyOf, Stateful};
use floodmark_state::{Data, Key};

use super::{KeyedStream, Stream, key_function};
use crate::plan::Identity;

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Turns every record into another, with a state of its key at hand that begins with the type's
    /// default. It is the short form of [`process`](KeyedStream::process): no timers, one state.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let numbered = env
    ///     .from_vec("words", vec!["to", "be", "to"].into_iter().map(String::from).collect())
    ///     .key_by(|word: &String| word.clone())
    ///     .stateful(|word, count: &mut u64, _| {
    ///         *count += 1;
    ///         format!("{word} {count}")
    ///     })
    ///     .uid("number")
    ///     .collect("numbered");
    /// env.execute("numbers").await?.wait().await?;
    /// assert_eq!(numbered.values(), ["to 1", "be 1", "to 2"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stateful<S: Data + Default, U: Data>(
        self,
        map: impl FnMut(&K, &mut S, T) -> U + Clone + Send + Sync + 'static,
    ) -> Stream<U> {
        let key_of = key_function(self.key_of);
        self.stream.then("stateful", Identity::Needed, move |uid, layout| {
            Stateful::new(uid, KeyOf::new(layout, key_of.clone()), map.clone())
        })
    }

    /// Emits, for every record, the key's first record with `field` replaced by the sum so far.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let bytes = vec![("a".to_owned(), 100), ("b".to_owned(), 7), ("a".to_owned(), 20)];
    /// let totals = env
    ///     .from_vec("bytes", bytes)
    ///     .key_by(|(address, _)| address.clone())
    ///     .sum(|(_, bytes): &mut (String, u64)| bytes)
    ///     .uid("totals")
    ///     .collect("totals-seen");
    /// env.execute("traffic").await?.wait().await?;
    /// assert_eq!(totals.values().last(), Some(&("a".to_owned(), 120)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn sum<N: AddAssign + Copy + 'static>(
        self,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        self.reduce(move |mut so_far, mut next| {
            *field(&mut so_far) += *field(&mut next);
            so_far
        })
        .name("sum")
    }

    /// Emits, for every record, the key's first record with `field` replaced by the least so far.
    pub fn min<N: Ord + Copy + 'static>(
        self,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        self.reduce(move |mut so_far, mut next| {
            let least = (*field(&mut so_far)).min(*field(&mut next));
            *field(&mut so_far) = least;
            so_far
        })
        .name("min")
    }

    /// Emits, for every record, the key's first record with `field` replaced by the greatest so far.
    pub fn max<N: Ord + Copy + 'static>(
        self,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        self.reduce(move |mut so_far, mut next| {
            let greatest = (*field(&mut so_far)).max(*field(&mut next));
            *field(&mut so_far) = greatest;
            so_far
        })
        .name("max")
    }

    /// Emits, for every record, the key's record so far of which `measure` is least; of equal ones the
    /// first.
    pub fn min_by<N: Ord>(
        self,
        measure: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        let is_less = move |next: &T, so_far: &T| measure(next) < measure(so_far);
        self.replace_if(is_less).name("min_by")
    }

    /// Like [`KeyedStream::min_by`]; of equal records the last.
    pub fn min_by_last<N: Ord>(
        self,
        measure: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        let is_less = move |next: &T, so_far: &T| measure(next) <= measure(so_far);
        self.replace_if(is_less).name("min_by_last")
    }

    /// Emits, for every record, the key's record so far of which `measure` is greatest; of equal ones
    /// the first.
    pub fn max_by<N: Ord>(
        self,
        measure: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        let is_greater = move |next: &T, so_far: &T| measure(so_far) < measure(next);
        self.replace_if(is_greater).name("max_by")
    }

    /// Like [`KeyedStream::max_by`]; of equal records the last.
    pub fn max_by_last<N: Ord>(
        self,
        measure: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        let is_greater = move |next: &T, so_far: &T| measure(so_far) <= measure(next);
        self.replace_if(is_greater).name("max_by_last")
    }

    fn replace_if(
        self,
        is_better: impl Fn(&T, &T) -> bool + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        self.reduce(move |so_far, next| if is_better(&next, &so_far) { next } else { so_far })
    }
}
