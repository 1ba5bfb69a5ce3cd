//! Functions over records without a key.

use floodmark_dataflow::operators::{ProcessFunction, RecordProcessOperator};
use floodmark_state::Data;

use super::Stream;
use crate::plan::Identity;

impl<T: Data> Stream<T> {
    /// Runs a function that sees timestamps and event time, and has side outputs. Every subtask gets a
    /// clone of `process`.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{BoxError, Environment, OutputTag, ProcessFunction, RecordContext};
    ///
    /// const ODD: OutputTag<u64> = OutputTag::new("odd");
    ///
    /// #[derive(Clone)]
    /// struct Split;
    ///
    /// impl ProcessFunction for Split {
    ///     type In = u64;
    ///     type Out = u64;
    ///
    ///     fn on_element(
    ///         &mut self,
    ///         number: u64,
    ///         cx: &mut RecordContext<'_, u64>,
    ///     ) -> Result<(), BoxError> {
    ///         if number % 2 == 0 { cx.emit(number) } else { cx.emit_to(ODD, number) }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let even = env.from_vec("numbers", vec![1, 2, 3]).process(Split);
    /// let odd = even.side_output(ODD).collect("odd");
    /// let even = even.collect("even");
    /// env.execute("split").await?.wait().await?;
    /// assert_eq!((even.values(), odd.values()), (vec![2], vec![1, 3]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Timers belong to keys, so there are none here:
    ///
    /// ```compile_fail
    /// # use floodmark::{BoxError, ProcessFunction, RecordContext, Timestamp};
    /// # #[derive(Clone)]
    /// # struct Split;
    /// impl ProcessFunction for Split {
    /// #   type In = u64;
    /// #   type Out = u64;
    ///     fn on_element(
    ///         &mut self,
    ///         number: u64,
    ///         cx: &mut RecordContext<'_, u64>,
    ///     ) -> Result<(), BoxError> {
    ///         cx.timers().register_event_time(Timestamp(1));
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: ProcessFunction<In = T> + Clone + Sync,
    {
        self.then("process", Identity::Stateless, move |uid, layout| {
            RecordProcessOperator::new("process", (uid, layout.parallelism), process.clone())
        })
    }
}
