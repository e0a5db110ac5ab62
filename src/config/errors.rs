//! What is wrong with a configuration: every finding, each with its key, its value, where that came from, and what
//! to do about it.

use std::fmt;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The dotted key, a variable, or a file.
    pub key: String,
    /// As it was written; `None` where there is none or it is secret.
    pub value: Option<String>,
    /// A file, an environment variable, the command line; `None` where the key is not set.
    pub origin: Option<String>,
    pub problem: String,
    pub remedy: String,
}

impl ConfigError {
    pub(super) fn general(key: &str, problem: &str, remedy: &str) -> Self {
        Self {
            key: key.to_owned(),
            value: None,
            origin: None,
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    /// `flush.interval = "5x" (tollbridge.toml): what is wrong. What to do.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}. {}", self.problem.trim_end_matches('.'), self.remedy)
    }
}

/// Every finding, in the order of the sections. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    /// One finding a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}
