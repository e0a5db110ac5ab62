//! How the program ends, as its exit code says it.

use std::fmt;
use std::process::ExitCode;

/// The exit codes; wrong usage is 2 and ends the program in the argument parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1: it failed for a reason that has no code of its own.
    Failed,
    /// 3: it ran to its end and found problems.
    FoundProblems,
    /// 69 (`EX_UNAVAILABLE`): something that it needs does not answer.
    Unavailable,
    /// 78 (`EX_CONFIG`): the configuration is wrong.
    BadConfig,
    /// 128 and the signal's number: ended by a second signal.
    Signal(u8),
}

/// A failure that has an exit code. Made by [`Exit::because`]; found in an `anyhow::Error` by downcasting.
#[derive(Debug)]
pub struct Failed {
    pub exit: Exit,
    why: anyhow::Error,
}

impl Exit {
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::FoundProblems => 3,
            Self::Unavailable => 69,
            Self::BadConfig => 78,
            Self::Signal(number) => number.saturating_add(128),
        })
    }

    /// An error that ends the program with this code.
    pub fn because(self, why: impl Into<anyhow::Error>) -> anyhow::Error {
        anyhow::Error::new(Failed { exit: self, why: why.into() })
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.why)
    }
}

impl std::error::Error for Failed {}
