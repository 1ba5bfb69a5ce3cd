//! How one run is shown: as a report, as a story, as a page.

use std::path::PathBuf;

use clap::Args;
use floodmark_scenarios::{RunReport, timeline};

/// What a user wants to see of a run.
#[derive(Args)]
pub(crate) struct View {
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tells what happened, in a dozen lines.
    #[arg(long)]
    story: bool,
    /// Writes a page that shows what happened, for any browser.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Shows the last events of a failure as they were noted.
    #[arg(long)]
    verbose: bool,
}

impl View {
    /// Returns whether the report needs an account of the run.
    pub(crate) fn is_told(&self) -> bool {
        self.story || self.timeline.is_some()
    }

    /// Shows a run.
    ///
    /// # Errors
    ///
    /// When the page cannot be written.
    #[expect(clippy::disallowed_methods, reason = "the page is the user's own, not a node's")]
    pub(crate) fn show(&self, report: &RunReport) -> Result<(), String> {
        if let Some(path) = &self.timeline {
            let page = timeline::page(report).ok_or("the run was not told")?;
            std::fs::write(path, page)
                .map_err(|error| format!("the page {}: {error}", path.display()))?;
        }
        if self.json {
            println!("{}", report.to_json());
            return Ok(());
        }
        // A failure tells its story anyway.
        if self.story
            && report.failure.is_none()
            && let Some(story) = report.story()
        {
            println!("{story}");
        }
        if self.verbose {
            println!("{report:#}")
        } else {
            println!("{report}")
        }
        if let Some(path) = &self.timeline {
            println!("  timeline: {}", path.display());
        }
        Ok(())
    }
}
