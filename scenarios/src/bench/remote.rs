//! A workload on three processes: one coordinates, one has the source, and one all that is behind the
//! exchange, so that every record travels from process to process.
//!
//! All run the same binary. The first starts the two others, which print what they have measured.

use std::{
    io::Error,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use floodmark::Process;
use serde::{Deserialize, Serialize};

use super::{Job, MeasureOptions, Measurement, Meter, Place, Reading, Tally, Workload, threads};

/// What a process needs that takes part.
#[derive(Clone, Debug)]
pub struct PartOptions {
    /// What is measured; parallelism is 1.
    pub measure: MeasureOptions,
    /// The directory that all processes share.
    pub directory: PathBuf,
    /// Where the first process coordinates.
    pub coordinator: SocketAddr,
}

/// What a process has measured that took part.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    /// Before the job.
    start: Reading,
    /// At the first event, if it has the source.
    first_event: Option<Reading>,
    /// At the last row; zero if it has no sink.
    last_row: Reading,
    /// When the job was over.
    over: Reading,
    tally: Tally,
    epoch_count: u64,
}

impl Workload {
    /// Does the work as a job whose exchange leads from one process into another, over TCP on loopback.
    /// `command` returns the command of a process that calls [`Workload::take_part`] with these
    /// options.
    ///
    /// # Errors
    ///
    /// When a process cannot be started, or the job fails.
    ///
    /// # Panics
    ///
    /// When the runtime has no job for the workload, or no threads can be started.
    pub fn measure_remote(
        &self,
        options: &MeasureOptions,
        directory: &Path,
        meter: Meter,
        command: impl Fn(&PartOptions) -> Command,
    ) -> Result<Measurement, String> {
        let part = PartOptions {
            measure: options.clone(),
            directory: directory.to_owned(),
            coordinator: free_address().map_err(|error| error.to_string())?,
        };
        let start = || command(&part).stdout(Stdio::piped()).spawn();
        let children: Result<Vec<Child>, Error> = [start(), start()].into_iter().collect();
        let children = children.map_err(|error| format!("starting a worker: {error}"))?;
        let Job { env, .. } = self.job(options, directory, Place::Apart, meter);
        let process = Process::coordinator(directory).listen(part.coordinator);
        let begin = meter();
        let run = threads().block_on(env.run_as(self.name, &process));
        let coordinated = meter() - begin;
        let mut parts = Vec::new();
        for mut child in children {
            if run.is_err() {
                // It would look for its coordinator without end; when it has ended it is no matter.
                let _ = child.kill();
            }
            let output = child.wait_with_output().map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            parts.push(serde_json::from_str::<Part>(&text).map_err(|_| text));
        }
        run.map_err(|error| error.to_string())?;
        let parts: Result<Vec<Part>, String> = parts.into_iter().collect();
        measurement(parts.map_err(|text| format!("a worker says {text:?}"))?, coordinated)
    }

    /// Is one of the two processes that [`Workload::measure_remote`] starts. Returns what it is to print.
    ///
    /// # Errors
    ///
    /// When the process cannot work.
    ///
    /// # Panics
    ///
    /// When the runtime has no job for the workload, or no threads can be started.
    pub fn take_part(&self, options: &PartOptions, meter: Meter) -> Result<String, String> {
        let PartOptions { measure, directory, coordinator } = options;
        let Job { env, marks, board } = self.job(measure, directory, Place::Apart, meter);
        let process = Process::worker(directory, &[&coordinator.to_string()]);
        let start = meter();
        let run = threads().block_on(env.run_as(self.name, &process));
        run.map_err(|error| error.to_string())?;
        let part = Part {
            start,
            first_event: marks.at_begin(),
            last_row: marks.at_end(),
            over: meter(),
            tally: board.total(),
            epoch_count: board.epoch_count(),
        };
        serde_json::to_string(&part).map_err(|error| error.to_string())
    }
}

/// Returns what the parts come to: the computing of all processes, and the time from the first event to
/// the last row.
fn measurement(mut parts: Vec<Part>, coordinated: Reading) -> Result<Measurement, String> {
    parts.sort_by_key(|part| part.first_event.is_none());
    let [source, rest] = parts.as_slice() else { return Err("there are two parts".to_owned()) };
    let (Some(first), None) = (source.first_event, rest.first_event) else {
        return Err("not one process made events, but both or none".to_owned());
    };
    if rest.last_row == Reading::default() || source.tally.rows != 0 {
        return Err("the rows did not come to the process without the source".to_owned());
    }
    let Reading([wall, _]) = rest.last_row - first;
    let computed = [source.over - first, rest.last_row - rest.start, coordinated];
    let whole = Reading([wall, computed.iter().map(|Reading([_, cpu])| cpu).sum()]);
    Ok(Measurement {
        tally: rest.tally,
        whole,
        second_half: Reading::default(),
        epoch_count: rest.epoch_count,
    })
}

/// Returns an address of loopback that nobody listens on.
#[expect(clippy::disallowed_methods, reason = "processes of the real machine are measured")]
fn free_address() -> Result<SocketAddr, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
