//! Functions that can fail for a record.

use floodmark_dataflow::{
    BoxError,
    operators::{ErrorPolicy, TryFlatMap},
};
use floodmark_state::Data;

use super::Stream;
use crate::plan::Identity;

impl<T: Data> Stream<T> {
    /// Turns every record into one other, or fails. `policy` says what becomes of a record for which
    /// `map` fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{Environment, ErrorPolicy, Failed, OutputTag};
    ///
    /// const BROKEN: OutputTag<Failed<String>> = OutputTag::new("broken");
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let words = ["12", "a dozen", "13"].map(str::to_owned);
    /// let numbers = env
    ///     .from_vec("words", words.to_vec())
    ///     .try_map(ErrorPolicy::To(BROKEN), |word| Ok(word.parse::<u64>()?));
    /// let broken = numbers.side_output(BROKEN).collect("broken");
    /// let numbers = numbers.collect("numbers");
    /// env.execute("numbers").await?.wait().await?;
    /// assert_eq!(numbers.values(), [12, 13]);
    /// assert_eq!(broken.values()[0].value, "a dozen");
    /// assert_eq!(broken.values()[0].reason, "invalid digit found in string");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_map<U: Data>(
        self,
        policy: ErrorPolicy<T>,
        mut map: impl FnMut(T) -> Result<U, BoxError> + Clone + Send + Sync + 'static,
    ) -> Stream<U> {
        let map = move |value| map(value).map(Some);
        self.then("try_map", Identity::Stateless, move |_, _| {
            TryFlatMap::new("try_map", policy, map.clone())
        })
    }

    /// Turns every record into any number of others, or fails. `policy` says what becomes of a record
    /// for which `map` fails.
    ///
    /// # Examples
    ///
    /// A line with a word that is no number is left out as a whole.
    ///
    /// ```
    /// use floodmark::{Environment, ErrorPolicy};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let lines = ["1 2 3", "4 five", "6"].map(str::to_owned);
    /// let numbers = env
    ///     .from_vec("lines", lines.to_vec())
    ///     .try_flat_map(ErrorPolicy::Skip, |line| {
    ///         let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
    ///         Ok(numbers?)
    ///     })
    ///     .collect("numbers");
    /// env.execute("numbers").await?.wait().await?;
    /// assert_eq!(numbers.values(), [1, 2, 3, 6]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_flat_map<I>(
        self,
        policy: ErrorPolicy<T>,
        map: impl FnMut(T) -> Result<I, BoxError> + Clone + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.then("try_flat_map", Identity::Stateless, move |_, _| {
            TryFlatMap::new("try_flat_map", policy, map.clone())
        })
    }
}
