//! Which store a stack has, by its name on the command line. It deliberately starts none: that is [`crate::stack`]'s.

use crate::error::{Error, Result};

/// Where rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// One file that all processors share.
    Sqlite,
    /// A cluster of its own.
    Postgres,
    /// An engine of its own.
    Clickhouse,
}

impl Store {
    /// By its name.
    ///
    /// # Errors
    /// When it is none of `sqlite`, `postgres` and `clickhouse`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            "clickhouse" => Ok(Self::Clickhouse),
            other => Err(Error::new(format!(
                "STORE is {other:?}; it must be \"sqlite\", \"postgres\" or \"clickhouse\""
            ))),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Clickhouse => "clickhouse",
        }
    }
}
