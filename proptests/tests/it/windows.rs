//! Windows against the definition.

use std::time::Duration;

use floodmark::Window;
use floodmark_model::Timestamp;
use proptest::prelude::*;

proptest! {
    /// A timestamp lies in its window, the window has its size and is aligned to the epoch.
    #[test]
    fn a_timestamp_lies_in_its_aligned_window(
        timestamp in -1_000_000_000_000_i64..1_000_000_000_000,
        size in 1_i64..100_000_000,
    ) {
        let duration = Duration::from_millis(size.unsigned_abs());
        let window = Window::tumbling(Timestamp(timestamp), duration);
        prop_assert!(window.start.0 <= timestamp && timestamp <= window.max_timestamp().0);
        prop_assert_eq!(window.end.0 - window.start.0, size);
        prop_assert_eq!(window.start.0.rem_euclid(size), 0);
    }
}
