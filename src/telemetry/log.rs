//! The log: lines on stderr, text for people, JSON for machines. What may be logged is decided where it is logged:
//! never a payment method, a payload or a secret.

use std::io::{IsTerminal, Write, stderr};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "log.level = {0:?}: {1}. Write a level (error, warn, info, debug, trace) or directives"
    )]
    Level(String, String),
    #[error("the log is set up already")]
    Again,
    #[error("the log is not set up")]
    Missing,
}

type SetFilter = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// How the filter of the log that was set up is exchanged. The log is the whole process's, and so is this.
static FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Sets up the log of the whole process. `json`: `None` takes text on a terminal, else JSON. `level`: a level, or
/// directives such as `info,tollbridge::pipeline=debug`. `writer` gives what writes to stderr; each line comes whole.
pub fn start<W: Write + 'static>(
    json: Option<bool>,
    level: &str,
    writer: fn() -> W,
) -> Result<(), LogError> {
    let filter = filter(level)?;
    let terminal = stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let done = match json.unwrap_or(!terminal) {
        true => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            let lines = lines.with_filter_reloading();
            keep(lines.reload_handle());
            lines.finish().try_init()
        }
        // Colours also heed NO_COLOR.
        false => {
            let lines = if terminal { lines } else { lines.with_ansi(false) };
            let lines = lines.with_filter_reloading();
            keep(lines.reload_handle());
            lines.finish().try_init()
        }
    };
    done.map_err(|_| LogError::Again)
}

/// Another level from now on, written as for [`start`].
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let set = FILTER.get().ok_or(LogError::Missing)?;
    if set(filter) { Ok(()) } else { Err(LogError::Missing) }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let parsed = EnvFilter::builder().parse(level);
    parsed.map_err(|error| LogError::Level(level.to_owned(), error.to_string()))
}

fn keep<S: 'static>(handle: Handle<EnvFilter, S>) {
    // Only the first log takes effect, and it comes first.
    FILTER.set(Box::new(move |filter| handle.reload(filter).is_ok())).ok();
}
