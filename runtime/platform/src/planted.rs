//! Planted bugs: mistakes that real stream processors shipped, kept here so that the simulator can
//! prove that it finds them.
//!
//! `planted!(Name)` stands at the place where the mistake would be made. In an ordinary build it is
//! the constant `false` and nothing is left of it. With the feature `planted-bugs` one bug at a time
//! can be switched on, for the whole process.

/// Tells whether a bug is planted: `planted!(CommitOnlyLatest)`. Always `false` without the feature
/// `planted-bugs`.
#[cfg(not(feature = "planted-bugs"))]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

/// Tells whether a bug is planted: `planted!(CommitOnlyLatest)`. Always `false` without the feature
/// `planted-bugs`.
#[cfg(feature = "planted-bugs")]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::PlantedBug::$bug.is_planted()
    };
}

#[cfg(feature = "planted-bugs")]
pub use switch::{PlantedBug, plant};

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    /// The bug that is switched on: its place in [`PlantedBug::ALL`], from 1; 0 if there is none.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Switches a bug on, and the one before it off.
    pub fn plant(bug: Option<PlantedBug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::Relaxed);
    }

    macro_rules! bugs {
        ($($(#[$doc:meta])* $name:ident,)*) => {
            /// A mistake that can be planted. The catalogue with sources and expected checks is the
            /// simulator's.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[repr(u8)]
            pub enum PlantedBug {
                $($(#[$doc])* $name,)*
            }

            impl PlantedBug {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$name,)*];
            }
        };
    }

    impl PlantedBug {
        /// Returns whether this is the bug that is switched on.
        pub fn is_planted(self) -> bool {
            PLANTED.load(Ordering::Relaxed) == self as u8 + 1
        }
    }

    bugs! {
        /// A notification commits the epoch it names, and none before it.
        CommitOnlyLatest,
    }
}
