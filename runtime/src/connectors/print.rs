//! Standard output, for those who look.

use std::{
    fmt::Debug,
    io::{Write as _, stdout},
    marker::PhantomData,
};

use floodmark_dataflow::{Delivery, Emitter, Error, OpenContext, Operator};
use floodmark_model::Batch;
use floodmark_state::Data;

/// Prints records, each in a line.
pub(crate) struct Print<T> {
    name: String,
    label: String,
    parallelism: u16,
    /// What every line begins with, once the operator is open.
    prefix: String,
    value: PhantomData<fn(T)>,
}

impl<T> Print<T> {
    /// Creates the operator `name` of `parallelism` subtasks.
    pub(crate) fn new(name: String, label: String, parallelism: u16) -> Self {
        Self { name, label, parallelism, prefix: String::new(), value: PhantomData }
    }
}

/// Returns what the lines of a subtask begin with.
fn prefix(label: &str, index: u16, parallelism: u16) -> String {
    match (label, index + 1) {
        ("", _) if parallelism == 1 => String::new(),
        ("", number) => format!("{number}> "),
        (label, _) if parallelism == 1 => format!("{label}> "),
        (label, number) => format!("{label}:{number}> "),
    }
}

impl<T: Data + Debug> Operator for Print<T> {
    type In = T;
    type Out = ();

    const DELIVERY: Option<Delivery> = Some(Delivery::Plain);

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.prefix = prefix(&self.label, cx.subtask.index, self.parallelism);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, _: &mut Emitter<()>) -> Result<(), Error> {
        let (prefix, mut out) = (&self.prefix, stdout().lock());
        let mut print = batch.iter().map(|record| writeln!(out, "{prefix}{:?}", record.value));
        print.find_map(Result::err).map_or(Ok(()), |error| {
            Err(Error::Operator { operator: self.name.clone(), source: error.into() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn a_line_names_its_label_and_its_subtask_if_there_are_several() {
        assert_eq!(prefix("", 0, 1), "");
        assert_eq!(prefix("alarm", 0, 1), "alarm> ");
        assert_eq!(prefix("", 0, 2), "1> ");
        assert_eq!(prefix("alarm", 2, 4), "alarm:3> ");
    }
}
