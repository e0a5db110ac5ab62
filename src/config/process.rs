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
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let format = r.choice(
            "log.format",
            LogFormat::Auto,
            &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)],
        );
        Self { format, level: r.or("log.level", "info".to_owned()) }
    }
}
