//! One request over loopback, and the numbers of a `/metrics` page. Deliberately neither an HTTP client nor a
//! Prometheus parser: it reads what the processes of a test serve.

use crate::error::{Doing, Error, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3);

/// Gives the status code and the body.
///
/// # Errors
/// When nobody answers within three seconds.
pub fn get(port: u16, path: &str) -> Result<(u16, String)> {
    get_within(port, path, LIMIT)
}

/// The same, with a limit for the answer.
///
/// # Errors
/// When nobody answers within the limit.
pub fn get_within(port: u16, path: &str, limit: Duration) -> Result<(u16, String)> {
    request(port, &format!("GET {path}"), "", "", limit)
}

/// The same with a body.
///
/// # Errors
/// When nobody answers within the limit.
pub fn post(port: u16, path: &str, body: &str, limit: Duration) -> Result<(u16, String)> {
    request(port, &format!("POST {path}"), "", body, limit)
}

/// The same, where the body says that it is JSON.
///
/// # Errors
/// When nobody answers within the limit.
pub fn post_json(port: u16, path: &str, body: &str, limit: Duration) -> Result<(u16, String)> {
    request(port, &format!("POST {path}"), "content-type: application/json\r\n", body, limit)
}

/// `what` is method and path; each of `headers` ends its line.
pub(crate) fn request(
    port: u16,
    what: &str,
    headers: &str,
    body: &str,
    limit: Duration,
) -> Result<(u16, String)> {
    let talk = || -> std::io::Result<Vec<u8>> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(limit))?;
        // HTTP/1.0: the answer ends where the connection does.
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = talk().doing(|| format!("{what} from port {port}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Error::new(format!("port {port} does not speak HTTP")))?;
    Ok((status, body.to_owned()))
}

/// The numbers of a `/metrics` page.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    page: String,
}

impl Metrics {
    /// Reads the page of the process that serves this port.
    ///
    /// # Errors
    /// When it does not answer with 200.
    pub fn of(port: u16) -> Result<Self> {
        match get(port, "/metrics")? {
            (200, page) => Ok(Self { page }),
            (code, _) => Err(Error::new(format!("/metrics on port {port} answers {code}"))),
        }
    }

    /// The sum of the series of this name whose labels contain `label` (such as `queue="temp"`; empty:
    /// all of them), 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let series = self.page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        });
        // Not `sum`, whose nothing is -0.
        series.fold(0.0, |all, one| all + one)
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn series_are_summed_by_name_and_label() {
        let page = "# HELP depth Entries.\n# TYPE depth gauge\ndepth{queue=\"temp\"} 3\n\
                    depth{queue=\"archive\"} 4\ndepth_max 9\nplain 1.5\n";
        let metrics = Metrics { page: page.to_owned() };
        let sum = |name, label| format!("{}", metrics.sum(name, label));
        assert_eq!(sum("depth", "queue=\"temp\""), "3");
        assert_eq!(sum("depth", ""), "7");
        assert_eq!(sum("plain", ""), "1.5");
        assert_eq!(sum("nothing", ""), "0");
    }
}
