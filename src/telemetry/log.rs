//! The log: lines on stderr, text for people, JSON for machines. What may be logged is decided where it is logged:
//! never a payment method, a payload or a secret.

use std::io::{IsTerminal, Write, stderr};

use tracing_subscriber::EnvFilter;
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
}

/// Sets up the log of the whole process. `json`: `None` takes text on a terminal, else JSON. `level`: a level, or
/// directives such as `info,tollbridge::pipeline=debug`. `writer` gives what writes to stderr; each line comes whole.
pub fn start<W: Write + 'static>(
    json: Option<bool>,
    level: &str,
    writer: fn() -> W,
) -> Result<(), LogError> {
    let filter = EnvFilter::builder()
        .parse(level)
        .map_err(|error| LogError::Level(level.to_owned(), error.to_string()))?;
    let terminal = stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let done = match json.unwrap_or(!terminal) {
        true => lines.json().flatten_event(true).with_current_span(false).finish().try_init(),
        // Colours also heed NO_COLOR.
        false => match terminal {
            true => lines.finish().try_init(),
            false => lines.with_ansi(false).finish().try_init(),
        },
    };
    done.map_err(|_| LogError::Again)
}
