//! What a real process of a cluster says about itself, on standard error.

use clap::{Args, ValueEnum};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// How much is said, and in which form.
#[derive(Args)]
pub(crate) struct LogArguments {
    /// The form of the log on standard error.
    #[arg(long, value_enum, default_value_t = Form::Human)]
    log: Form,
    /// The least level that is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::INFO)]
    log_level: LevelFilter,
}

/// A form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One line of text per event.
    Human,
    /// One JSON object per line and event.
    Json,
}

/// Begins to log. Once per process.
///
/// # Errors
///
/// When something else in the process logs already.
pub(crate) fn begin(arguments: &LogArguments) -> Result<(), String> {
    // Others than us speak up only when something is wrong.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(arguments.log_level))
        .with_targets(OURS.map(|target| (target, arguments.log_level)));
    let layer = match arguments.log {
        Form::Human => fmt::layer().with_ansi(false).with_writer(std::io::stderr).boxed(),
        Form::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    let begun = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    begun.map_err(|error| error.to_string())
}

/// The crates of ours that log in a real process, by prefix.
const OURS: [&str; 1] = ["floodmark"];
