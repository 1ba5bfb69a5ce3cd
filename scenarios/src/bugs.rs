//! The catalogue of bugs that the simulator must find: what others shipped, and our own history.
//!
//! One entry per bug, in the order of the ids: `M` for mistakes of real stream processors, `O` for
//! our own, `W` for mistakes that users make in a job. An entry whose bug is planted names the
//! scenarios that expose it and the checks that may speak, the expected one first; one of a broken
//! job names the scenario of that job, and that of the right one. Nothing else has to be changed when
//! a bug is planted: the kill matrix and its test read this list.

#[macro_use]
mod switch;
mod entry;
mod lookup;

pub use self::entry::{Bug, BugState};
use self::switch::Switch;
use BugState::{BrokenJob, Planted, Waiting};

/// Every bug.
pub const ALL: &[Bug] = &[
    // The coordinator, its log, retention and cleaning.
    Bug {
        id: "M01",
        source: "FLINK-21351",
        mistake: "A savepoint counts as a retained checkpoint, so with one retained the newest \
                  checkpoint is dropped, and later increments refer to files that are gone.",
        state: Waiting { for_what: "savepoints and incremental snapshots" },
    },
    Bug {
        id: "M02",
        source: "FLINK-26985",
        mistake: "Files that a restored checkpoint shares with its successors are deleted, \
                  because their users before the restore are forgotten.",
        state: Planted {
            bug: bug!(ForgottenFloor),
            scenarios: &["coordinator_crash", "two_coordinators"],
            checks: &["references", "restore"],
        },
    },
    Bug {
        id: "M04",
        source: "FLINK-24611",
        mistake: "The coordinator deletes the files of an aborted checkpoint, one of which the \
                  next increment uses again.",
        state: Waiting { for_what: "incremental snapshots" },
    },
    Bug {
        id: "M05",
        source: "FLINK-29913, FLINK-29095",
        mistake: "Two attempts store a file under the same name; the checkpoint lists the wrong \
                  one.",
        state: Planted {
            bug: bug!(NameWithoutAttempt),
            scenarios: &["blackout", "crash_before_manifest", "coordinator_crash"],
            checks: &["restore"],
        },
    },
    Bug {
        id: "M07",
        source: "FLINK-7783, FLINK-5940, FLINK-8487",
        mistake: "An object that cannot be read for a moment during recovery is taken for one \
                  that does not exist.",
        state: Planted {
            bug: bug!(DropOnReadError),
            scenarios: &["flaky_recovery"],
            checks: &["restore"],
        },
    },
    Bug {
        id: "M08",
        source: "FLINK-22502",
        mistake: "When the newest checkpoint cannot be read, an older one is restored in \
                  silence, although sinks have committed since.",
        state: Planted {
            bug: bug!(SilentFallback),
            scenarios: &["flaky_recovery"],
            checks: &["restore"],
        },
    },
    Bug {
        id: "M10",
        source: "FLINK-6328, FLINK-10354, FLINK-25191",
        mistake: "A savepoint commits sinks, and recovery begins before it.",
        state: Waiting { for_what: "savepoints" },
    },
    Bug {
        id: "M11",
        source: "FLINK-26783",
        mistake: "A failure while the last commit of a stop is under way leads back to an older \
                  checkpoint.",
        state: Waiting { for_what: "savepoints" },
    },
    Bug {
        id: "M12",
        source: "FLINK-10377",
        mistake: "A notification commits the epoch it names and forgets those before it.",
        state: Planted {
            bug: bug!(CommitOnlyLatest),
            scenarios: &["lost_notification"],
            checks: &["two_phase"],
        },
    },
    Bug {
        id: "M14",
        source: "FLINK-35217",
        mistake: "A file is published before its bytes are on the disk.",
        state: Planted {
            bug: bug!(UnsyncedCopy),
            scenarios: &["local_recovery"],
            // A torn gate is seen by its watermark first.
            checks: &["restore", "watermarks"],
        },
    },
    Bug {
        id: "M15",
        source: "FLINK-31077",
        mistake: "A checkpoint counts as complete before its manifest is stored.",
        state: Planted {
            bug: bug!(CompleteBeforeManifest),
            scenarios: &["crash_before_manifest", "slow_store"],
            checks: &["two_phase"],
        },
    },
    Bug {
        id: "M16",
        source: "FLINK-24344",
        mistake: "An error while a checkpoint is triggered is swallowed: it is neither declined \
                  nor a failure.",
        state: Planted {
            bug: bug!(SwallowedUploadError),
            scenarios: &["upload_errors"],
            checks: &["errors", "liveness"],
        },
    },
    Bug {
        id: "M18",
        source: "risingwave#20988",
        mistake: "An acknowledgement of an attempt that has failed counts for its successor.",
        state: Planted {
            bug: bug!(StaleAcknowledgement),
            scenarios: &["lost_acknowledgement", "unruly_frames", "partition"],
            checks: &["consistent_cut", "fencing"],
        },
    },
    Bug {
        id: "M21",
        source: "arroyo#1003",
        mistake: "Checkpoints are numbered from the beginning again when a coordinator finds \
                  nothing to restore.",
        state: Planted {
            bug: bug!(EpochRestarts),
            scenarios: &["coordinator_crash"],
            checks: &["fencing", "restore"],
        },
    },
    Bug {
        id: "M22",
        source: "arroyo#400, arroyo#1124",
        mistake: "The checkpoint in flight when the input ends is taken for the final one.",
        state: Planted {
            bug: bug!(InFlightTakenForFinal),
            scenarios: &["slow_store", "coordinator_crash"],
            checks: &["exactly_once"],
        },
    },
    // Barriers, alignment and what channels remember.
    Bug {
        id: "M23",
        source: "FLINK-20654, FLINK-20645",
        mistake: "The elements that an unaligned barrier overtook are no longer kept once a \
                  second barrier is announced.",
        state: Waiting { for_what: "unaligned checkpoints" },
    },
    Bug {
        id: "M24",
        source: "FLINK-18139",
        mistake: "Elements in flight are looked up on the channel of another gate.",
        state: Waiting { for_what: "unaligned checkpoints" },
    },
    Bug {
        id: "M25",
        source: "FLINK-19907",
        mistake: "Operators emit before what was in flight at the snapshot has been sent again.",
        state: Waiting { for_what: "unaligned checkpoints" },
    },
    Bug {
        id: "M26",
        source: "FLINK-40517",
        mistake: "When channels are merged by a rescale, each old channel's watermark is passed \
                  on as it is, and one idle channel makes all idle.",
        state: Waiting { for_what: "unaligned checkpoints and rescaling" },
    },
    Bug {
        id: "M27",
        source: "FLINK-31963, FLINK-22686, FLINK-35351",
        mistake: "What was in flight is handed to the wrong subtask after a rescale.",
        state: Waiting { for_what: "unaligned checkpoints and rescaling" },
    },
    Bug {
        id: "M28",
        source: "FLINK-2098",
        mistake: "A source emits a record between freezing its position and its barrier.",
        state: Planted {
            bug: bug!(RecordBetweenSnapshotAndBarrier),
            scenarios: &["lost_barrier", "worker_crash"],
            checks: &["consistent_cut"],
        },
    },
    Bug {
        id: "M29",
        source: "FLINK-22424",
        mistake: "A buffer is used again while a writer of the failed attempt still holds it.",
        state: Waiting { for_what: "buffers that are used again" },
    },
    Bug {
        id: "M30",
        source: "the mode called at-least-once",
        mistake: "A channel whose barrier has arrived goes on to deliver while others are \
                  awaited.",
        state: Planted {
            bug: bug!(UnblockedChannel),
            scenarios: &["worker_crash"],
            checks: &["consistent_cut"],
        },
    },
    Bug {
        id: "M31",
        source: "lost barrier",
        mistake: "A barrier that never comes is awaited for ever.",
        state: Planted {
            bug: bug!(EndlessAlignment),
            scenarios: &["lost_acknowledgement"],
            checks: &["liveness"],
        },
    },
    Bug {
        id: "M32",
        source: "risingwave#11017",
        mistake: "A sink acknowledges a barrier before what came before it is written.",
        state: Planted {
            bug: bug!(FlushAfterBarrier),
            scenarios: &["worker_crash"],
            checks: &["consistent_cut"],
        },
    },
    Bug {
        id: "M34",
        source: "risingwave#12407",
        mistake: "Key groups that were restored from different epochs are read as if they were \
                  of one.",
        state: Waiting { for_what: "restoring single key groups" },
    },
    // Sources and those who give them work.
    Bug {
        id: "M35",
        source: "risingwave#16058",
        mistake: "A source tells its queue that records are done with at the barrier, before a \
                  manifest covers them, and the queue forgets them.",
        state: Planted {
            bug: bug!(AcknowledgedTooEarly),
            scenarios: &["forgetful_queue"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "M37",
        source: "FLINK-6006, FLINK-7195",
        mistake: "Restored splits that an incomplete discovery does not name are dropped.",
        state: Waiting { for_what: "discovery of splits" },
    },
    Bug {
        id: "M38",
        source: "FLINK-21817",
        mistake: "The assignment of splits is restored by subtask index, although the number of \
                  subtasks has changed.",
        state: Waiting { for_what: "rescaling" },
    },
    Bug {
        id: "M39",
        source: "FLINK-18071, FLINK-21996, FLINK-23233",
        mistake: "A split on its way to its reader is in nobody's snapshot.",
        state: Waiting { for_what: "dynamic assignment of splits" },
    },
    Bug {
        id: "M41",
        source: "FLINK-20221, FLINK-13941",
        mistake: "A position in a file is restored in other units than it was stored in.",
        state: Planted {
            bug: bug!(OffsetInWrongUnits),
            scenarios: &["flights", "late_events"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "M42",
        source: "FLINK-39837, FLINK-39979",
        mistake: "Positions of splits that disappear for a moment are forgotten, and a reader \
                  without splits is not idle.",
        state: Waiting { for_what: "discovery of splits" },
    },
    Bug {
        id: "M43",
        source: "risingwave#21522",
        mistake: "The clean-up of an old attempt removes what its successor has registered under \
                  the same name.",
        state: Waiting { for_what: "handlers that outlive an attempt" },
    },
    // Event time, timers and windows.
    Bug {
        id: "M44",
        source: "FLINK-32828, FLINK-26018",
        mistake: "A split takes part in the watermark only from its first record on.",
        state: Planted {
            bug: bug!(LazySplitRegistration),
            scenarios: &["skewed_splits"],
            checks: &["watermarks"],
        },
    },
    Bug {
        id: "M46",
        source: "FLINK-7721",
        mistake: "The watermark of no active channel at all is the highest one.",
        state: Planted {
            bug: bug!(MinimumOfNothing),
            scenarios: &["idle_and_finished_sources"],
            checks: &["watermarks"],
        },
    },
    Bug {
        id: "M47",
        source: "FLINK-23698, FLINK-23708, FLINK-28357",
        mistake: "An input that had ended before the snapshot does not say so again after a \
                  restore.",
        state: Planted {
            bug: bug!(EndNotRepeated),
            scenarios: &["idle_and_finished_sources", "skewed_splits"],
            checks: &["watermarks", "liveness"],
        },
    },
    Bug {
        id: "M48",
        source: "FLINK-36663",
        mistake: "Timers begin without event time after a restore, so windows that were done \
                  emit again.",
        state: Planted {
            bug: bug!(WatermarkNotRestored),
            scenarios: &["late_events"],
            checks: &["watermarks"],
        },
    },
    Bug {
        id: "M49",
        source: "FLINK-32414, FLINK-32496, FLINK-35157, FLINK-31632",
        mistake: "The alignment of watermarks waits for inputs that are idle or have ended.",
        state: Planted {
            bug: bug!(DriftOfAllSplits),
            scenarios: &["aligned_sources"],
            checks: &["liveness"],
        },
    },
    Bug {
        id: "M50",
        source: "FLINK-19300, FLINK-20189",
        mistake: "A read that returns fewer bytes than wanted is taken for the end, and the \
                  timers behind it are dropped.",
        state: Planted {
            bug: bug!(PartTakenForWhole),
            scenarios: &["local_recovery"],
            checks: &["restore"],
        },
    },
    Bug {
        id: "M51",
        source: "FLINK-4651",
        mistake: "Timers of processing time are restored and not armed.",
        state: Planted {
            bug: bug!(ProcessingTimersNotRearmed),
            scenarios: &["reminders"],
            checks: &["timers"],
        },
    },
    Bug {
        id: "M53",
        source: "risingwave#25547",
        mistake: "The restored watermark is found by comparing encoded bytes, whose order is not \
                  that of time.",
        state: Planted {
            bug: bug!(WatermarkComparedAsBytes),
            scenarios: &["skewed_splits"],
            checks: &["watermarks"],
        },
    },
    Bug {
        id: "M55",
        source: "risingwave#8442, risingwave#11554, risingwave#19199",
        mistake: "A part without records, or an idle or paused input, holds the watermark back \
                  or lets it run ahead.",
        state: Planted {
            bug: bug!(IdleHoldsBack),
            scenarios: &["idle_and_finished_sources"],
            checks: &["watermarks"],
        },
    },
    Bug {
        id: "M56",
        source: "KAFKA-12718",
        mistake: "A session is closed at its end, although its gap has not passed.",
        state: Planted {
            bug: bug!(SessionWithoutGap),
            scenarios: &["visits"],
            checks: &["timers", "exactly_once"],
        },
    },
    // Sinks and transactions.
    Bug {
        id: "M58",
        source: "FLINK-35749, FLINK-5701",
        mistake: "An error of a write in the background is dropped.",
        state: Planted {
            bug: bug!(WriteErrorSwallowed),
            scenarios: &["sink_errors"],
            checks: &["errors", "exactly_once"],
        },
    },
    Bug {
        id: "M59",
        source: "FLINK-7784, FLINK-23839, FLINK-24131, FLINK-24773",
        mistake: "A commit that is refused, because its transaction timed out meanwhile, is \
                  noted and passed over.",
        state: Planted {
            bug: bug!(CommitFailureSwallowed),
            scenarios: &["sink_errors", "outside_ledger"],
            checks: &["two_phase", "errors"],
        },
    },
    Bug {
        id: "M60",
        source: "FLINK-34554",
        mistake: "Open transactions of subtasks that no longer exist are left open, and readers \
                  wait behind them.",
        state: Planted {
            bug: bug!(AbortsOwnOnly),
            scenarios: &["outside_ledger"],
            checks: &["liveness"],
        },
    },
    Bug {
        id: "M62",
        source: "FLINK-29509, FLINK-29512, FLINK-29627, FLINK-26304",
        mistake: "Restored transactions are given the wrong checkpoint.",
        state: Planted {
            bug: bug!(CommittablesRenumbered),
            scenarios: &["zombie_worker"],
            checks: &["two_phase"],
        },
    },
    Bug {
        id: "M63",
        source: "FLINK-21132",
        mistake: "A stop with a savepoint is taken for the end of the input, and commits too \
                  much.",
        state: Waiting { for_what: "savepoints" },
    },
    Bug {
        id: "M64",
        source: "risingwave#26498",
        mistake: "A prepared epoch without records is not part of the snapshot, and recovery \
                  loses its place.",
        state: Planted {
            bug: bug!(EmptyEpochForgotten),
            scenarios: &["empty_epochs", "lost_notification"],
            checks: &["two_phase", "exactly_once"],
        },
    },
    Bug {
        id: "M66",
        source: "risingwave#20615",
        mistake: "What a sink has buffered is lost when its key groups move.",
        state: Waiting { for_what: "rescaling" },
    },
    Bug {
        id: "M67",
        source: "arroyo#1027, arroyo#1125, arroyo#894",
        mistake: "A commit that had happened before the crash is an error when recovery repeats \
                  it.",
        state: Planted {
            bug: bug!(CommitNotIdempotent),
            scenarios: &["sink_errors", "outside_ledger"],
            checks: &["liveness", "two_phase"],
        },
    },
    Bug {
        id: "M69",
        source: "KAFKA-9274, materialize#10876",
        mistake: "A commit whose answer is in doubt is repeated as if it had not happened.",
        state: Planted {
            bug: bug!(BlindRetry),
            scenarios: &["sink_errors"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "M70",
        source: "the worker that sleeps",
        mistake: "A worker that wakes up after its replacement commits what it holds.",
        state: Planted {
            bug: bug!(ZombieCommits),
            scenarios: &["zombie_worker"],
            checks: &["fencing", "exactly_once"],
        },
    },
    // State, snapshots in the background, rescaling and local recovery.
    Bug {
        id: "M71",
        source: "FLINK-6207, FLINK-3450, FLINK-5154, FLINK-25494, FLINK-9269",
        mistake: "A snapshot in the background reads the state that records are changing.",
        state: Planted {
            bug: bug!(SharedSnapshot),
            scenarios: &["worker_crash"],
            checks: &["consistent_cut", "restore"],
        },
    },
    Bug {
        id: "M72",
        source: "FLINK-12296",
        mistake: "Operators of one chain share a local directory, and one deletes the other's \
                  files.",
        state: Planted {
            bug: bug!(SharedLocalPath),
            scenarios: &["local_recovery"],
            checks: &["restore"],
        },
    },
    Bug {
        id: "M73",
        source: "FLINK-10809, risingwave#16815",
        mistake: "Records are sent by one hash and state is kept by another.",
        state: Planted {
            bug: bug!(RoutingHashDiffers),
            scenarios: &["calm"],
            checks: &["key_groups"],
        },
    },
    Bug {
        id: "M75",
        source: "KAFKA-16017",
        mistake: "A close during a restore notes the end as the position reached.",
        state: Waiting { for_what: "a changelog of state" },
    },
    Bug {
        id: "M76",
        source: "KAFKA-13249, KAFKA-10166, KAFKA-7672",
        mistake: "A clean close leaves an old local checkpoint behind.",
        state: Waiting { for_what: "a changelog of state" },
    },
    Bug {
        id: "M78",
        source: "KAFKA-14172",
        mistake: "A standby takes over with a cache from before.",
        state: Waiting { for_what: "standbys with state" },
    },
    Bug {
        id: "M80",
        source: "union and broadcast state",
        mistake: "Every subtask keeps the whole of a list that a rescale should have split anew.",
        state: Waiting { for_what: "rescaling" },
    },
    // Our own history, and what any such runtime must not do.
    Bug {
        id: "O1",
        source: "file sink, before its parts were named after it",
        mistake: "The name of a visible part does not contain its sink, so of two sinks in one \
                  directory one takes the part of the other for its own.",
        state: Planted {
            bug: bug!(PartNamedWithoutSink),
            scenarios: &["shared_directory"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "O3",
        source: "file sink, before a worker that slept was thought of",
        mistake: "A worker that cleans up discards what newer attempts have staged.",
        state: Planted {
            bug: bug!(DiscardsNewerAttempts),
            scenarios: &["zombie_cleanup"],
            checks: &["liveness", "two_phase", "exactly_once"],
        },
    },
    Bug {
        id: "O4",
        source: "a network that loses frames",
        mistake: "A frame that is missing in a channel is passed over.",
        state: Planted {
            bug: bug!(GapAccepted),
            scenarios: &["unruly_frames"],
            checks: &["consistent_cut", "watermarks"],
        },
    },
    Bug {
        id: "O5",
        source: "a network that repeats frames",
        mistake: "A frame that comes twice is taken twice.",
        state: Planted {
            bug: bug!(RepeatAccepted),
            scenarios: &["unruly_frames"],
            checks: &["consistent_cut"],
        },
    },
    Bug {
        id: "O6",
        source: "a lost request to abort",
        mistake: "Old transactions that could not be aborted are left to the next restart, and there is \
                  none: readers wait behind them.",
        state: Planted {
            bug: bug!(AbortFailureSwallowed),
            scenarios: &["lost_abort"],
            checks: &["liveness"],
        },
    },
    Bug {
        id: "O7",
        source: "an upload that arrives when the job has ended",
        mistake: "The storage of a job that has ended is looked through once, although parts of a \
                  checkpoint that was given up may still be under way.",
        state: Planted {
            bug: bug!(LooksOnceForGarbage),
            scenarios: &["late_uploads"],
            checks: &["references"],
        },
    },
    Bug {
        id: "O8",
        source: "a union list whose parts lie in the files of others",
        mistake: "Each subtask restores its own part of a union list, and not those of the others.",
        state: Planted {
            bug: bug!(UnionOfOwnPart),
            scenarios: &["changing_hands"],
            checks: &["restore", "exactly_once"],
        },
    },
    Bug {
        id: "O9",
        source: "a limit that nobody asks for",
        mistake: "A source that is far ahead of the others of its group reads on.",
        state: Planted {
            bug: bug!(DriftIgnored),
            scenarios: &["aligned_sources"],
            checks: &["drift"],
        },
    },
    // Requests to others that take longer than a call.
    Bug {
        id: "O11",
        source: "flink#2629, where it was argued about",
        mistake: "Records whose requests are under way are not part of the snapshot: the source has gone \
                  on, and nobody asks again.",
        state: Planted {
            bug: bug!(RequestsNotInSnapshot),
            scenarios: &["lookups"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "O12",
        source: "flink-agents#178",
        mistake: "Event time does not wait for the results of requests: they come too late for their \
                  windows.",
        state: Planted {
            bug: bug!(WatermarkOvertakesRequests),
            scenarios: &["lookups"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "O13",
        source: "FLINK-6435",
        mistake: "A request that has failed is noted, and nobody else hears of it: its record is passed \
                  over.",
        state: Planted {
            bug: bug!(RequestFailureSwallowed),
            scenarios: &["lookups"],
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "O14",
        source: "event time of a chain taken for that of all its operators",
        mistake: "Those who follow requests in a chain are restored with the event time of the subtask, \
                  which they had not heard of yet.",
        state: Planted {
            bug: bug!(RequestsRestoredLate),
            scenarios: &["lookups"],
            checks: &["exactly_once", "watermarks"],
        },
    },
    Bug {
        id: "O15",
        source: "subtask loop, before a timer that asks again and again was thought of",
        mistake: "Timers by the clock fire while the end waits for the results of requests, and what \
                  they ask for puts it off for ever.",
        state: Planted {
            bug: bug!(TimersPutOffTheEnd),
            scenarios: &["lookups"],
            checks: &["liveness"],
        },
    },
    Bug {
        id: "O16",
        source: "subtask loop, where what is due before a barrier fires before it",
        mistake: "Timers that are due fire before the last snapshot, after the last answer was waited \
                  for: what they ask for is in the snapshot, and nobody restores it.",
        state: Planted {
            bug: bug!(TimersInTheLastSnapshot),
            scenarios: &["lookups"],
            checks: &["errors"],
        },
    },
    Bug {
        id: "O17",
        source: "source with stages, whose last split must not leave event time to nobody",
        mistake: "The last split of a stage ends before those of the next one count, so that the input \
                  seems to have ended.",
        state: Planted {
            bug: bug!(StageEndsTooEarly),
            scenarios: &["written_and_live"],
            checks: &["exactly_once"],
        },
    },
    // Mistakes of users, in the alarm of a river.
    Bug {
        id: "W1",
        source: "a state in fields of the function",
        mistake: "Level and timer are kept in plain fields, which a crash forgets.",
        state: BrokenJob {
            name: "PlainFields",
            scenario: "water_level_plain_fields",
            right: "water_level",
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "W2",
        source: "a state shared by all keys",
        mistake: "One level and one timer are kept for all gauges of a subtask.",
        state: BrokenJob {
            name: "SharedByAllKeys",
            scenario: "water_level_shared_by_all_keys",
            right: "water_level",
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "W3",
        source: "event time mixed with processing time",
        mistake: "What is due in event time is set, and not even deleted, on the clock of the node.",
        state: BrokenJob {
            name: "MixedTimeDomains",
            scenario: "water_level_mixed_time_domains",
            right: "water_level",
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "W4",
        source: "a timer deleted by a time it does not have",
        mistake: "The timer of the current reading is deleted, not the one that was set.",
        state: BrokenJob {
            name: "WrongTimerDeleted",
            scenario: "water_level_wrong_timer_deleted",
            right: "water_level",
            checks: &["exactly_once"],
        },
    },
    Bug {
        id: "W5",
        source: "a state that is read and never written",
        mistake: "The last level stays that of the beginning, so every high reading is a rise.",
        state: BrokenJob {
            name: "LevelNeverUpdated",
            scenario: "water_level_level_never_updated",
            right: "water_level",
            checks: &["exactly_once"],
        },
    },
];

#[cfg(test)]
mod tests;
