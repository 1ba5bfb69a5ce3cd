//! Key groups keep their promise under every rescaling.

use floodmark_model::{KeyGroup, KeyGroupLayout, KeyGroupRange};
use floodmark_wire::key_hash;
use proptest::prelude::*;

proptest! {
    /// Whatever the parallelism, every key group has exactly one owner, and the load is even.
    #[test]
    fn every_key_group_has_one_owner(group_count in 1_u16..=4096, parallelism in 1_u16..=256) {
        prop_assume!(parallelism <= group_count);
        let layout = KeyGroupLayout { group_count, parallelism };
        let ranges: Vec<_> = (0..parallelism).map(|index| layout.range_of(index)).collect();

        for group in (0..group_count).map(KeyGroup) {
            let owners: Vec<_> =
                (0_u16..).zip(&ranges).filter(|(_, range)| range.contains(group)).collect();
            prop_assert_eq!(owners.len(), 1, "key group {:?}", group);
            prop_assert_eq!(owners[0].0, layout.owner_of(group));
        }
        let shortest = ranges.iter().map(KeyGroupRange::len).min();
        let longest = ranges.iter().map(KeyGroupRange::len).max();
        prop_assert!(longest <= shortest.map(|len| len + 1));
    }

    /// Where a key lies does not depend on the parallelism.
    #[test]
    fn rescaling_never_moves_a_key_to_another_group(
        key in ".*",
        group_count in 1_u16..=4096,
        parallelism in 1_u16..=256,
    ) {
        prop_assume!(parallelism <= group_count);
        let hash = key_hash(&key);
        let alone = KeyGroupLayout { group_count, parallelism: 1 };
        let shared = KeyGroupLayout { group_count, parallelism };
        prop_assert_eq!(alone.group_of(hash), shared.group_of(hash));
        prop_assert!(shared.range_of(shared.owner_of(shared.group_of(hash))).contains(shared.group_of(hash)));
    }
}
