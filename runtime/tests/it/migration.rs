//! A job is stopped, its state gets other types, and it goes on: with migrations, with what it had.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use floodmark::{
    Aggregate, AggregatingState, BoxError, Context, Environment, Error, FileSink, KeyedProcess,
    ListState, MapState, Migration, ReducingState, ValueState,
};
use serde::{Deserialize, Serialize};

use crate::machine::{Folder, Gate, Gated, run, sorted, until};

const COUNT: u64 = 2_000;

/// What the first version keeps of numbers with the same last digit, in five states.
mod first {
    use super::*;

    #[derive(Clone)]
    pub(super) struct Sum;

    impl Aggregate for Sum {
        type In = u64;
        type Acc = u64;
        type Out = u64;

        fn init(&self) -> u64 {
            0
        }

        fn add(&self, sum: &mut u64, number: u64) {
            *sum += number;
        }

        fn merge(&self, sum: u64, other: u64) -> u64 {
            sum + other
        }

        fn finish(&self, sum: u64) -> u64 {
            sum
        }
    }

    const SEEN: ValueState<u32> = ValueState::new("seen");
    const LATEST: ListState<u32> = ListState::new("latest");
    const PARITIES: MapState<u8, u32> = MapState::new("parities");
    const LARGEST: ReducingState<u32> = ReducingState::new("largest", |a, b| a.max(b));
    const SUM: AggregatingState<Sum> = AggregatingState::new("sum", Sum);

    #[derive(Clone)]
    pub(super) struct Keep;

    impl KeyedProcess for Keep {
        type Key = u64;
        type In = u64;
        type Out = String;

        fn on_element(
            &mut self,
            number: u64,
            cx: &mut Context<'_, u64, String>,
        ) -> Result<(), BoxError> {
            let small = u32::try_from(number)?;
            cx.state(SEEN).update(|seen| *seen += 1);
            let mut latest = cx.state(LATEST).get();
            latest.push(small);
            latest.drain(..latest.len().saturating_sub(3));
            cx.state(LATEST).set(latest.clone());
            let parity = u8::try_from(number / 10 % 2)?;
            cx.state(PARITIES).update(parity, |count| *count += 1);
            cx.state(LARGEST).add(small);
            cx.state(SUM).add(number);
            let seen = cx.state(SEEN).or_default();
            let parities: Vec<u32> = cx.state(PARITIES).iter().map(|(_, count)| *count).collect();
            let largest = cx.state(LARGEST).get().ok_or("nothing is the largest")?;
            let sum = cx.state(SUM).get().ok_or("nothing was added up")?;
            let key = *cx.key();
            cx.emit(format!("{key} {seen} {latest:?} {parities:?} {largest} {sum}"));
            Ok(())
        }
    }
}

/// The same with other types: counts are wide, a latest number has a name, parities have names, the
/// largest number knows that it is one, and the sum has a count.
mod second {
    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Latest {
        pub(super) name: String,
    }

    fn named(number: u32) -> Latest {
        Latest { name: number.to_string() }
    }

    #[derive(Clone, Copy)]
    pub(super) struct Mean;

    impl Aggregate for Mean {
        type In = u64;
        type Acc = (Option<u64>, u64);
        type Out = u64;

        fn init(&self) -> Self::Acc {
            (None, 0)
        }

        fn add(&self, (_, sum): &mut Self::Acc, number: u64) {
            *sum += number;
        }

        fn merge(&self, (_, sum): Self::Acc, (_, other): Self::Acc) -> Self::Acc {
            (None, sum + other)
        }

        fn finish(&self, (_, sum): Self::Acc) -> u64 {
            sum
        }
    }

    const SEEN: ValueState<u64> =
        ValueState::new("seen").version(2, &[&Migration(1, |seen: u32| u64::from(seen))]);
    const LATEST: ListState<Latest> = ListState::new("latest").version(2, &[&Migration(1, named)]);
    const PARITIES: MapState<String, u64> = MapState::new("parities").version(
        2,
        &[&Migration(1, |(parity, count): (u8, u32)| {
            let name = if parity == 0 { "even" } else { "odd" };
            (name.to_owned(), u64::from(count))
        })],
    );
    const LARGEST: ReducingState<Option<u64>> =
        ReducingState::new("largest", |a: Option<u64>, b| a.max(b))
            .version(2, &[&Migration(1, |largest: u32| Some(u64::from(largest)))]);
    const SUM: AggregatingState<Mean> =
        AggregatingState::new("sum", Mean).version(2, &[&Migration(1, |sum: u64| (None, sum))]);

    #[derive(Clone)]
    pub(super) struct Keep;

    impl KeyedProcess for Keep {
        type Key = u64;
        type In = u64;
        type Out = String;

        fn on_element(
            &mut self,
            number: u64,
            cx: &mut Context<'_, u64, String>,
        ) -> Result<(), BoxError> {
            cx.state(SEEN).update(|seen| *seen += 1);
            let mut latest = cx.state(LATEST).get();
            latest.push(Latest { name: number.to_string() });
            latest.drain(..latest.len().saturating_sub(3));
            cx.state(LATEST).set(latest.clone());
            let parity = if (number / 10).is_multiple_of(2) { "even" } else { "odd" };
            cx.state(PARITIES).update(parity.to_owned(), |count| *count += 1);
            cx.state(LARGEST).add(Some(number));
            cx.state(SUM).add(number);
            let seen = cx.state(SEEN).or_default();
            let latest: Vec<u64> =
                latest.iter().map(|one| one.name.parse()).collect::<Result<_, _>>()?;
            let parities: Vec<u64> = cx.state(PARITIES).iter().map(|(_, count)| *count).collect();
            let largest = cx.state(LARGEST).get().flatten().ok_or("nothing is the largest")?;
            let sum = cx.state(SUM).get().ok_or("nothing was added up")?;
            let key = *cx.key();
            cx.emit(format!("{key} {seen} {latest:?} {parities:?} {largest} {sum}"));
            Ok(())
        }
    }
}

/// What both versions write.
fn expected() -> Vec<String> {
    let mut kept: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    sorted((0..COUNT).map(|number| {
        let all = kept.entry(number % 10).or_default();
        all.push(number);
        let latest = &all[all.len().saturating_sub(3)..];
        let odd = all.iter().filter(|number| *number / 10 % 2 == 1).count();
        let parities = [all.len() - odd, odd];
        let parities = if odd == 0 { &parities[..1] } else { &parities[..] };
        let sum: u64 = all.iter().sum();
        format!("{} {} {latest:?} {parities:?} {number} {sum}", number % 10, all.len())
    }))
}

/// Connects a job that keeps numbers by their last digit. Each digit is read in order.
fn connect<P>(env: &Environment, folder: &Folder, (count, gate_at): (u64, u64), keep: P)
where
    P: KeyedProcess<Key = u64, In = u64, Out = String> + Clone + Sync,
{
    let source = Gated { first: 0, count, gate_at, gate: Gate::Closed };
    env.source("numbers", source)
        .parallelism(1)
        .key_by(|number| number % 10)
        .process(keep)
        .uid("keep")
        .sink("files", FileSink::new(&folder.path("output"), String::clone));
}

/// Runs the first version over half of the numbers, and stops it.
async fn stopped_first() -> Arc<Folder> {
    let folder = Arc::new(Folder::new());
    let env = folder.checkpointed().parallelism(3);
    connect(&env, &folder, (u64::MAX, COUNT / 2), first::Keep);
    let job = env.execute("job").await.expect("the job starts");
    until(|| !folder.lines("output").is_empty()).await;
    job.stop(Duration::from_secs(20)).await.expect("the job stops");
    folder
}

/// Goes on with another version to the end.
async fn goes_on<P>(folder: &Folder, keep: P) -> Result<(), Error>
where
    P: KeyedProcess<Key = u64, In = u64, Out = String> + Clone + Sync,
{
    let env = folder.checkpointed().parallelism(3);
    connect(&env, folder, (COUNT, COUNT), keep);
    run(&env).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_with_states_of_other_types() {
    let folder = stopped_first().await;
    let before = folder.lines("output").len() as u64;
    assert!(0 < before && before < COUNT);
    goes_on(&folder, second::Keep).await.unwrap();
    assert_eq!(folder.lines("output"), expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_another_type_without_a_migration_is_refused_and_nothing_is_lost() {
    /// Of the states only the first one, as something else.
    #[derive(Clone)]
    struct Other(ValueState<String>);

    impl KeyedProcess for Other {
        type Key = u64;
        type In = u64;
        type Out = String;

        fn on_element(
            &mut self,
            _: u64,
            cx: &mut Context<'_, u64, String>,
        ) -> Result<(), BoxError> {
            cx.state(self.0).set(String::new());
            Ok(())
        }
    }

    let folder = stopped_first().await;
    let before = folder.lines("output");
    let plain = ValueState::new("seen");
    let cases = [
        (
            plain,
            "state keep/seen was stored as (u64, u32), and is wanted as (u64, alloc::string::String)",
        ),
        (
            plain.version(2, &[]),
            "state keep/seen was stored in version 1, and this job expects version 2 and has no \
             migration from 1",
        ),
        (
            ValueState::new("latest"),
            "state keep/latest was stored as a list, and is wanted as a value",
        ),
    ];
    for (state, expected) in cases {
        let text = goes_on(&folder, Other(state)).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(folder.lines("output"), before);
    goes_on(&folder, second::Keep).await.unwrap();
    assert_eq!(folder.lines("output"), expected());
}
