//! Options as text in TOML, as they can be read again.

use std::fmt::Write as _;

use floodmark_dataflow::EndedInputs;
use floodmark_model::{CheckpointConfig, ClusterConfig, LocalCopies, RestartStrategy};

use super::{Resolved, duration::format as time};

impl Resolved {
    /// Returns all options in TOML.
    pub(crate) fn to_toml(&self) -> String {
        let Self {
            parallelism,
            key_group_count,
            batch_size,
            chains_exchanges,
            ended_inputs,
            checkpoints,
            restart,
            storage,
            cluster,
        } = self;
        let ended_inputs = match ended_inputs {
            EndedInputs::LeaveOut => "leave_out",
            EndedInputs::PushOn => "push_on",
        };
        let mut toml = format!(
            "parallelism = {parallelism}\n\
             key_groups = {key_group_count}\n\
             batch_size = {batch_size}\n\
             chain_exchanges = {chains_exchanges}\n\
             ended_inputs = \"{ended_inputs}\"\n\
             storage = {}\n",
            quoted(storage)
        );
        match restart {
            RestartStrategy::None => toml.push_str("restart = \"none\"\n"),
            RestartStrategy::FixedDelay { attempts, delay } => {
                let delay = time(*delay);
                let _ = write!(
                    toml,
                    "\n[restart.fixed_delay]\nattempts = {attempts}\ndelay = \"{delay}\"\n"
                );
            }
        }
        if let Some(checkpoints) = checkpoints {
            add_checkpoints(&mut toml, checkpoints);
        }
        add_cluster(&mut toml, cluster);
        toml
    }
}

fn add_checkpoints(toml: &mut String, checkpoints: &CheckpointConfig) {
    let CheckpointConfig {
        interval,
        timeout,
        min_pause,
        tolerable_failure_count,
        retained_count,
        local_copies,
        state_size_max,
    } = checkpoints;
    let (interval, timeout, min_pause) = (time(*interval), time(*timeout), time(*min_pause));
    let local_copies = match local_copies {
        LocalCopies::None => "none",
        LocalCopies::Newest => "newest",
    };
    let _ = write!(
        toml,
        "\n[checkpoints]\n\
         interval = \"{interval}\"\n\
         timeout = \"{timeout}\"\n\
         min_pause = \"{min_pause}\"\n\
         tolerable_failures = {tolerable_failure_count}\n\
         retain = {retained_count}\n\
         local_copies = \"{local_copies}\"\n"
    );
    if let Some(size) = state_size_max {
        let _ = writeln!(toml, "state_size_max = {size}");
    }
}

fn add_cluster(toml: &mut String, cluster: &ClusterConfig) {
    let ClusterConfig { heartbeat_interval, heartbeat_timeout, deployment_timeout } = cluster;
    let _ = write!(
        toml,
        "\n[cluster]\n\
         heartbeat_interval = \"{}\"\n\
         heartbeat_timeout = \"{}\"\n\
         deployment_timeout = \"{}\"\n",
        time(*heartbeat_interval),
        time(*heartbeat_timeout),
        time(*deployment_timeout)
    );
}

/// Returns a text in quotes.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
