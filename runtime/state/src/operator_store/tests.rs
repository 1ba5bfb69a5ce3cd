//! Lists of subtasks across restores: nothing is lost, nothing comes twice, and what does not fit is
//! refused.

use floodmark_wire::SnapshotFile;

use super::*;
use crate::Migration;

const LIST: Declaration<u64> = Declaration::new("list");
const UNION: Declaration<u64> = Declaration::new("union");

/// What the subtasks of a vertex have stored.
type Stored = Vec<Snapshot>;

/// Returns the stores of a job whose subtasks had stored this.
fn restored(stored: Stored) -> Vec<OperatorStore> {
    let parallelism = u16::try_from(stored.len()).unwrap();
    let files: Vec<_> = stored.into_iter().map(Snapshot::into_files).collect();
    let shared = |files: &[crate::Files]| {
        let shared = (0..).zip(files).filter_map(|(by, file)| Some((by, file.shared.clone()?)));
        let mut shared: Vec<(u16, SnapshotFile)> = shared.collect();
        // The order in which they are read is not that of the subtasks.
        shared.reverse();
        shared
    };
    (0..parallelism)
        .map(|index| {
            let own = files[usize::from(index)].own.clone();
            let mut restored = RestoredState::new(vec![own]).with_shared(shared(&files));
            let store = OperatorStore::new("op", Place { index, parallelism }, &mut restored);
            restored.check_all_taken().unwrap();
            store
        })
        .collect()
}

fn empty(parallelism: u16) -> Vec<OperatorStore> {
    restored((0..parallelism).map(|_| Snapshot::default()).collect())
}

fn freeze(stores: &mut [OperatorStore]) -> Stored {
    let freeze = |store: &mut OperatorStore| {
        let mut snapshot = Snapshot::default();
        store.freeze(&mut snapshot);
        snapshot
    };
    stores.iter_mut().map(freeze).collect()
}

fn list(store: &mut OperatorStore) -> OperatorListRef<'_, u64> {
    store.list(&LIST, Distribution::Split).unwrap()
}

fn union(store: &mut OperatorStore) -> OperatorListRef<'_, u64> {
    store.list(&UNION, Distribution::Union).unwrap()
}

fn refusal<T: Data>(
    store: &mut OperatorStore,
    of: &Declaration<T>,
    distribution: Distribution,
) -> String {
    store.list(of, distribution).err().expect("it is refused").to_string()
}

#[test]
fn a_list_goes_back_to_its_subtask_and_a_union_to_all() {
    let mut stores = empty(3);
    for (index, store) in (0..).zip(&mut stores) {
        list(store).extend([index * 10, index * 10 + 1]);
        // The one in the middle has none, and gets all of them as well.
        if index != 1 {
            union(store).push(index);
            union(store).push(index + 5);
        }
    }
    let mut stores = restored(freeze(&mut stores));
    for (index, store) in (0..).zip(&mut stores) {
        assert_eq!(list(store).get(), [index * 10, index * 10 + 1]);
        assert_eq!(union(store).get(), [0, 5, 2, 7]);
    }
    // What was only read, or not even that, does not grow; what is written to is what it is now.
    for _ in 0..3 {
        stores = restored(freeze(&mut stores));
        assert_eq!(union(&mut stores[0]).get(), [0, 5, 2, 7]);
    }
    union(&mut stores[1]).push(9);
    union(&mut stores[2]).set([3]);
    list(&mut stores[2]).clear();
    let mut stores = restored(freeze(&mut stores));
    assert_eq!(union(&mut stores[2]).get(), [0, 5, 0, 5, 2, 7, 9, 3]);
    assert!(list(&mut stores[2]).is_empty());
    assert_eq!((list(&mut stores[1]).len(), union(&mut stores[1]).len()), (2, 8));
}

#[test]
fn a_frozen_list_does_not_see_later_writes() {
    let mut stores = empty(1);
    list(&mut stores[0]).extend(0..5_000);
    let frozen = freeze(&mut stores);
    list(&mut stores[0]).set([7]);
    assert_eq!(list(&mut restored(frozen)[0]).get(), (0..5_000).collect::<Vec<_>>());
    assert_eq!(list(&mut stores[0]).get(), [7]);
}

#[test]
fn every_redistribution_is_fair_and_complete() {
    for total in 0..40_u64 {
        for before in 1..6_u64 {
            for after in 1..8 {
                let mut stored: Vec<Vec<u64>> = vec![Vec::new(); usize::try_from(before).unwrap()];
                for element in 0..total {
                    // Unevenly: some have much, some nothing.
                    let of = element * element % before;
                    stored[usize::try_from(of).unwrap()].push(element);
                }
                let pieces = redistribute(stored.clone(), after);
                assert_eq!(pieces.len(), usize::from(after));
                assert_eq!(pieces.concat(), stored.concat());
                if pieces.len() == stored.len() {
                    assert_eq!(pieces, stored);
                } else {
                    let lengths = pieces.iter().map(Vec::len);
                    assert!(lengths.clone().max() <= lengths.clone().min().map(|least| least + 1));
                    assert!(lengths.rev().is_sorted(), "the longer ones first");
                }
            }
        }
    }
}

#[test]
fn another_parallelism_redistributes_what_all_have_stored() {
    let mut stores = empty(3);
    (0..)
        .zip(&mut stores)
        .for_each(|(index, store)| list(store).extend(index * 10..index * 11 + 2));
    let stored: Vec<u64> = stores.iter_mut().flat_map(|store| list(store).get()).collect();
    let files: Vec<_> = freeze(&mut stores).into_iter().map(|one| one.into_parts().0).collect();
    for parallelism in [1, 2, 4, 5, 9] {
        let mut found = Vec::new();
        for index in 0..parallelism {
            let mut restored = RestoredState::new(files.clone()).of_all();
            let place = Place { index, parallelism };
            found.extend(list(&mut OperatorStore::new("op", place, &mut restored)).get());
        }
        assert_eq!(found, stored, "{parallelism}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_stays() {
    let mut stores = empty(1);
    list(&mut stores[0]).push(1);
    union(&mut stores[0]).push(2);
    let other: Declaration<String> = Declaration::new("list");
    assert_eq!(
        refusal(&mut stores[0], &other, Distribution::Split),
        "state op/list is used as floodmark_state::operator_store::SplitList<u64> and as \
         floodmark_state::operator_store::SplitList<alloc::string::String>"
    );
    assert!(
        refusal(&mut stores[0], &LIST, Distribution::Union).starts_with("state op/list is used")
    );
    let file = freeze(&mut stores).remove(0).into_parts().0;
    let mut stores = restored(freeze(&mut stores));
    assert_eq!(
        refusal(&mut stores[0], &other, Distribution::Split),
        "state op/list was stored as floodmark_state::operator_store::SplitList<u64>, and is wanted as \
         floodmark_state::operator_store::SplitList<alloc::string::String>"
    );
    assert_eq!(
        refusal(&mut stores[0], &LIST, Distribution::Union),
        "state op/list was stored as a list of each subtask, and is wanted as a union list"
    );
    assert_eq!(
        refusal(&mut stores[0], &UNION, Distribution::Split),
        "state op/union was stored as a union list, and is wanted as a list of each subtask"
    );
    assert_eq!(
        refusal(&mut stores[0], &LIST.version(2, &[]), Distribution::Split),
        "state op/list was stored in version 1, and this job expects version 2 and has no migration \
         from 1"
    );
    assert_eq!(freeze(&mut stores).remove(0).into_parts().0, file);
    let place = Place { index: 0, parallelism: 1 };
    let mut nameless = OperatorStore::new("", place, &mut RestoredState::default());
    assert_eq!(
        refusal(&mut nameless, &LIST, Distribution::Split),
        "state list belongs to an operator without a uid: give it one"
    );
}

#[test]
fn elements_migrate() {
    let mut stores = empty(2);
    for (index, store) in (0..).zip(&mut stores) {
        list(store).extend([index, 7]);
        union(store).push(index);
    }
    let text: Declaration<String> =
        Declaration::new("list").version(2, &[&Migration(1, |number: u64| number.to_string())]);
    let union_text: Declaration<String> =
        Declaration::new("union").version(2, &[&Migration(1, |number: u64| number.to_string())]);
    let mut stores = restored(freeze(&mut stores));
    for (index, store) in (0..).zip(&mut stores) {
        let found = store.list(&text, Distribution::Split).unwrap().get();
        assert_eq!(found, [index.to_string(), "7".to_owned()]);
        let found = store.list(&union_text, Distribution::Union).unwrap().get();
        assert_eq!(found, ["0", "1"]);
    }
    // Subtasks may have got to it or not; either way the next ones read what there is.
    let mut stores = restored(freeze(&mut stores));
    let found = stores[1].list(&union_text, Distribution::Union).unwrap().get();
    assert_eq!(found, ["0", "1"]);
}
