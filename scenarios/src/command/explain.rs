//! What a scenario's job is made of, and what it promises, without running it.

use clap::{Args, ValueEnum};
use floodmark_scenarios::{Scenario, jobs::Input};

/// Which job to explain, and how.
#[derive(Args)]
pub(crate) struct ExplainArguments {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The seed, which chooses among the scenario's jobs and options.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The form.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A form of the explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For Graphviz.
    Dot,
    /// For pages in Markdown.
    Mermaid,
}

/// Explains the job of a scenario.
///
/// # Errors
///
/// When the job cannot be built.
pub(crate) fn explain(scenario: &Scenario, arguments: &ExplainArguments) -> Result<bool, String> {
    let ExplainArguments { seed, format, .. } = *arguments;
    let job = scenario.job(seed);
    let environment = scenario.environment(seed);
    let prepared = (job.prepare)(&Input { seed, size: scenario.size, kept: None });
    (prepared.build)(&environment);
    let explanation = environment.explain(job.name).map_err(|error| error.to_string())?;
    match format {
        Format::Text => print!("{explanation}"),
        Format::Dot => print!("{}", explanation.to_dot()),
        Format::Mermaid => print!("{}", explanation.to_mermaid()),
    }
    Ok(true)
}
