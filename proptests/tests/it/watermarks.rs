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

/// What a channel has promised, and whether it is idle.
type Promise = (i64, bool);

/// Merges by looking at everything, and at what just happened.
struct Naive {
    promised: Vec<Promise>,
    merged: i64,
}

impl Naive {
    /// Returns the least promise of the active channels that are not behind.
    fn least(&self) -> Option<i64> {
        let counted =
            self.promised.iter().filter(|(time, is_idle)| !is_idle && self.merged <= *time);
        counted.map(|(time, _)| *time).min()
    }

    fn follow(&mut self, channel: usize, event: Event) {
        let (before, was_idle) = self.promised[channel];
        let merged = match event {
            Event::Active => {
                self.promised[channel].1 = false;
                return;
            }
            Event::Watermark(watermark) => {
                self.promised[channel] = (before.max(watermark), false);
                if watermark <= before {
                    return;
                }
                self.least()
            }
            Event::Idle => {
                self.promised[channel].1 = true;
                if was_idle || before != self.merged {
                    return;
                }
                if self.promised.iter().all(|(_, is_idle)| *is_idle) {
                    self.promised.iter().map(|(time, _)| *time).max()
                } else {
                    self.least()
                }
            }
        };
        self.merged = self.merged.max(merged.unwrap_or(i64::MIN));
    }
}

proptest! {
    /// The merged watermark never goes back, is what the rules make of the promises, and a restore in
    /// between changes nothing.
    #[test]
    fn event_time_is_what_the_rules_say(
        channel_count in 1_u16..5,
        events in prop::collection::vec((0_usize..5, event(), any::<bool>()), 0..60),
    ) {
        let mut merge = WatermarkMerge::new(&channels(channel_count));
        let promised = vec![(i64::MIN, false); usize::from(channel_count)];
        let mut naive = Naive { promised, merged: i64::MIN };
        for (channel, event, is_restored) in events {
            let channel = channel % usize::from(channel_count);
            let before = naive.merged;
            naive.follow(channel, event);
            match event {
                Event::Watermark(watermark) => {
                    merge.on_watermark(channel, Timestamp(watermark));
                }
                Event::Active => {
                    merge.on_watermark(channel, Timestamp::MIN);
                }
                Event::Idle => merge.on_idle(channel),
            }
            let expected = (before < naive.merged).then_some(Timestamp(naive.merged));
            prop_assert_eq!(merge.advanced(), expected);
            prop_assert_eq!(merge.merged(), Timestamp(naive.merged));
            if is_restored {
                let mut restored = WatermarkMerge::new(&channels(channel_count));
                restored.restore(merge.merged(), merge.floors(), None);
                merge = restored;
            }
        }
    }

    /// With two inputs of one channel each, event time is the lesser of those that are active, and the
    /// greater when none is; a restore in between changes nothing.
    #[test]
    fn of_two_inputs_the_lesser_counts(
        events in prop::collection::vec((0_usize..2, event(), any::<bool>()), 0..60),
    ) {
        let channels = channels(2);
        let mut merge = WatermarkMerge::of_inputs(&channels, vec![0, 1]);
        let mut inputs = [(i64::MIN, false); 2];
        let mut best = i64::MIN;
        for (input, event, is_restored) in events {
            match event {
                Event::Watermark(watermark) => {
                    merge.on_watermark(input, Timestamp(watermark));
                    inputs[input] = (inputs[input].0.max(watermark), false);
                }
                Event::Active => {
                    merge.on_watermark(input, Timestamp::MIN);
                    inputs[input].1 = false;
                }
                Event::Idle => {
                    merge.on_idle(input);
                    inputs[input].1 = true;
                }
            }
            let active = inputs.iter().filter(|(_, is_idle)| !is_idle).map(|(time, _)| *time);
            let allowed = active.min().or_else(|| inputs.iter().map(|(time, _)| *time).max());
            best = best.max(allowed.unwrap_or(best));
            prop_assert_eq!(merge.merged(), Timestamp(best));
            if is_restored {
                let mut restored = WatermarkMerge::of_inputs(&channels, vec![0, 1]);
                restored.restore(merge.merged(), merge.floors(), merge.input_floors().as_deref());
                merge = restored;
            }
        }
    }
}
