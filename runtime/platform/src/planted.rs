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
pub use switch::{PlantedBug, plant, planted};

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    /// The bug that is switched on: its place in [`PlantedBug::ALL`], from 1; 0 if there is none.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Switches a bug on, and the one before it off.
    pub fn plant(bug: Option<PlantedBug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::Relaxed);
    }

    /// Returns the bug that is switched on.
    pub fn planted() -> Option<PlantedBug> {
        PlantedBug::ALL.iter().copied().find(|bug| bug.is_planted())
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
        /// M02: a new coordinator does not count the references of checkpoints it found.
        ForgottenFloor,
        /// M05: names of files lack the checkpoint, and an existing file is taken for one's own.
        NameWithoutAttempt,
        /// M07: a checkpoint that cannot be read during recovery is taken for gone.
        DropOnReadError,
        /// M08: when the newest checkpoint cannot be read, an older one is restored.
        SilentFallback,
        /// M12: a notification commits the epoch it names, and none before it.
        CommitOnlyLatest,
        /// M14: a local copy has its name before its bytes are on the disk, and is trusted.
        UnsyncedCopy,
        /// M15: a checkpoint is announced before its manifest is stored.
        CompleteBeforeManifest,
        /// M16: a snapshot that cannot be stored is neither acknowledged nor declined.
        SwallowedUploadError,
        /// M18: acknowledgements of earlier attempts count.
        StaleAcknowledgement,
        /// M21: a new coordinator counts checkpoints from the last one it can see.
        EpochRestarts,
        /// M22: the checkpoint in flight when the input ends is taken for the final one.
        InFlightTakenForFinal,
        /// M28: a source emits records between the snapshot of its position and the barrier.
        RecordBetweenSnapshotAndBarrier,
        /// M30: a channel that has delivered its barrier goes on delivering.
        UnblockedChannel,
        /// M31: a checkpoint whose barrier or acknowledgement is lost is never given up.
        EndlessAlignment,
        /// M32: records that wait in a batch leave after the barrier that follows them.
        FlushAfterBarrier,
        /// M35: a source acknowledges its input at the barrier, before the checkpoint is complete.
        AcknowledgedTooEarly,
        /// M41: the position of a file is what was fetched, not what was handed on.
        OffsetInWrongUnits,
        /// M44: a split takes part in the watermark only from its first record on.
        LazySplitRegistration,
        /// M46: the least watermark of no channel at all is the greatest there is.
        MinimumOfNothing,
        /// M47: a source that is restored as ended does not say so again.
        EndNotRepeated,
        /// M48: operators begin without event time after a restore.
        WatermarkNotRestored,
        /// M49: others wait for splits that are idle or have ended.
        DriftOfAllSplits,
        /// M50: what a first read yields of a local copy is taken for the whole, and is trusted.
        PartTakenForWhole,
        /// M51: processing-time timers are restored, and nobody is woken for them.
        ProcessingTimersNotRearmed,
        /// M53: the restored watermark is the least one by its bytes.
        WatermarkComparedAsBytes,
        /// M55: an idle channel holds event time back like any other.
        IdleHoldsBack,
        /// M56: a session is over with its last record, not a gap later.
        SessionWithoutGap,
        /// M58: the error of a write in the background is dropped.
        WriteErrorSwallowed,
        /// M59: a commit that fails is noted and passed over.
        CommitFailureSwallowed,
        /// M60: only transactions of the attempt itself are aborted, and there are none yet.
        AbortsOwnOnly,
        /// M62: restored transactions belong to no checkpoint.
        CommittablesRenumbered,
        /// M64: an epoch without records does not keep what was prepared before it.
        EmptyEpochForgotten,
        /// M67: committing what has been committed is an error.
        CommitNotIdempotent,
        /// M69: a commit in doubt is done once more, under another name.
        BlindRetry,
        /// M70: a worker that was given up goes on, and commits what it is told to.
        ZombieCommits,
        /// M71: a snapshot shares its state with the records that follow the barrier.
        SharedSnapshot,
        /// M72: neighbours keep their local copies under one name, and trust what they find there.
        SharedLocalPath,
        /// M73: records are routed by their hash, and not by their key group.
        RoutingHashDiffers,
        /// O1: the name of a visible part does not contain its sink.
        PartNamedWithoutSink,
        /// O3: what newer attempts have staged is discarded as well.
        DiscardsNewerAttempts,
        /// O4: a frame that is missing is passed over.
        GapAccepted,
        /// O5: a frame that comes twice is taken twice.
        RepeatAccepted,
        /// O6: old transactions that could not be aborted are left to a restart that may never be.
        AbortFailureSwallowed,
        /// O7: when a job has ended, its storage is looked through once, however the job went.
        LooksOnceForGarbage,
        /// O11: requests under way are not part of the snapshot.
        RequestsNotInSnapshot,
        /// O12: event time does not wait for the results of requests under way.
        WatermarkOvertakesRequests,
        /// O13: a request that has failed for good is noted, and its record is passed over.
        RequestFailureSwallowed,
        /// O14: those who follow requests are restored with the event time of those before them.
        RequestsRestoredLate,
        /// O15: timers by the clock fire while the end waits for the results of requests.
        TimersPutOffTheEnd,
        /// O16: timers that are due make requests when the last snapshot is taken.
        TimersInTheLastSnapshot,
        /// O17: the last split of a stage ends before those of the next one count.
        StageEndsTooEarly,
        /// O8: of a union list, each subtask restores its own part.
        UnionOfOwnPart,
        /// O9: a source that is far ahead of the others of its group reads on.
        DriftIgnored,
    }
}
