//! Watermark merging against the minimum, computed afresh.

use floodmark_dataflow::WatermarkMerge;
use floodmark_model::{ChannelId, EdgeId, Timestamp};
use proptest::prelude::*;

/// What happens on a channel.
#[derive(Clone, Copy, Debug)]
enum Event {
    Watermark(i64),
    Active,
    Idle,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_i64..100).prop_map(Event::Watermark),
        2 => Just(Event::Active),
        1 => Just(Event::Idle),
    ]
}

fn channels(count: u16) -> Vec<ChannelId> {
    (0..count).map(|from| ChannelId { edge: EdgeId(0), from, to: 0 }).collect()
}

proptest! {
    /// The merged watermark is the largest minimum over active channels that ever held; it never goes
    /// back, is never ahead of an active channel's promise when it advances, and a restore in between
    /// changes nothing.
    #[test]
    fn event_time_is_the_largest_minimum_so_far(
        channel_count in 1_u16..5,
        events in prop::collection::vec((0_usize..5, event(), any::<bool>()), 0..60),
    ) {
        let mut merge = WatermarkMerge::new(&channels(channel_count));
        let mut promised = vec![(i64::MIN, false); usize::from(channel_count)];
        let mut best = i64::MIN;
        for (channel, event, is_restored) in events {
            let channel = channel % promised.len();
            match event {
                Event::Watermark(watermark) => {
                    merge.on_watermark(channel, Timestamp(watermark));
                    promised[channel] = (promised[channel].0.max(watermark), false);
                }
                Event::Active => {
                    merge.on_watermark(channel, Timestamp::MIN);
                    promised[channel].1 = false;
                }
                Event::Idle => {
                    merge.on_idle(channel);
                    promised[channel].1 = true;
                }
            }
            let advanced = merge.advanced();
            let minimum = promised.iter().filter(|(_, idle)| !idle).map(|(time, _)| *time).min();
            let expected = minimum.filter(|minimum| best < *minimum);
            best = minimum.map_or(best, |minimum| best.max(minimum));
            prop_assert_eq!(advanced, expected.map(Timestamp));
            prop_assert_eq!(merge.merged(), Timestamp(best));
            if is_restored {
                let mut restored = WatermarkMerge::new(&channels(channel_count));
                restored.restore(merge.merged(), merge.floors());
                merge = restored;
            }
        }
    }
}
