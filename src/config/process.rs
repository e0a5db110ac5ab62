//! `[http]`, `[shutdown]` and `[log]`: what concerns the process and not the route.

use std::net::SocketAddr;
use std::time::Duration;

use super::reader::Reader;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// Where metrics and health are served; `None` for `"off"`.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// From the signal to the end of the process.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// A level (`error warn info debug trace`), or directives such as `info,tollbridge::pipeline=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

impl Http {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let text = r.or("http.listen", "127.0.0.1:9464".to_owned());
        if text == "off" {
            return Self { listen: None };
        }
        let listen = text.parse().ok();
        if listen.is_none() {
            let remedy =
                "Write an IP address and a port, for example \"0.0.0.0:9464\", or \"off\".";
            r.refuse("http.listen", "it is no address to listen on", remedy);
        }
        Self { listen }
    }
}

impl Shutdown {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self { timeout: r.period("shutdown.timeout", "20s", ["100ms", "10m"]) }
    }
}

impl Log {
    /// For commands without a configuration; what is wrong is left at its default.
    #[must_use]
    pub fn from_environment() -> Self {
        let environment = std::env::vars_os().collect();
        super::read(&super::Sources { environment, ..super::Sources::default() }).0.log
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let format = r.choice(
            "log.format",
            LogFormat::Auto,
            &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)],
        );
        let level = r.or("log.level", "info".to_owned());
        if !level.split(',').all(is_directive) {
            let remedy = "Write error, warn, info, debug or trace, or for example \"info,tollbridge::app=debug\".";
            r.refuse("log.level", "it is no level and no list of target=level", remedy);
        }
        Self { format, level }
    }
}

/// A level, or a target and a level. A bare word that is no level would silently mean a target.
fn is_directive(text: &str) -> bool {
    let level = text.rsplit_once('=').map_or(text, |(_, level)| level);
    let word = level.trim().to_ascii_lowercase();
    ["off", "error", "warn", "info", "debug", "trace"].contains(&word.as_str())
}
