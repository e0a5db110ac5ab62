//! What the room is told, and the checks that need no network.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use hyper::Uri;
use hyper::header::{ACCEPT, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::Shape;
use super::outline::Outline;
use crate::tls::TlsError;
use crate::wire::gateway::{Auth, Endpoints};

/// How the gateway is reached.
#[derive(Clone)]
pub struct Settings {
    /// `http://` or `https://`, host, optional port and base path.
    pub url: String,
    pub endpoints: Endpoints,
    /// The whole call: waiting for a free connection, connecting, asking, answering.
    pub timeout: Duration,
    /// Resolving, connecting and the TLS handshake.
    pub connect_timeout: Duration,
    /// A connection unused for longer is not used again.
    pub idle: Duration,
    /// The longest body of a response, in bytes.
    pub body_max: usize,
    /// Calls, hence connections, at the same time.
    pub max_in_flight: usize,
    /// Certificates trusted beside the public roots, PEM.
    pub ca_file: Option<PathBuf>,
    /// Further request headers, such as `authorization`. Not printed.
    pub headers: Vec<(String, String)>,
    /// Goes where the endpoints want it. Not printed.
    pub credential: Option<String>,
}

impl Settings {
    /// The usual bounds: 10 s a call, 2 s to connect, 30 s idle, 64 KiB, 256 calls.
    #[must_use]
    pub fn new(url: &str, endpoints: Endpoints) -> Self {
        Self {
            url: url.to_owned(),
            endpoints,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            idle: Duration::from_secs(30),
            body_max: 64 * 1024,
            max_in_flight: 256,
            ca_file: None,
            headers: Vec::new(),
            credential: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Settings")
            .field("endpoints", &self.endpoints)
            .field("timeout", &self.timeout)
            .field("max_in_flight", &self.max_in_flight)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// A setting that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("gateway url: {0}; write it as https://host/path")]
    Url(&'static str),
    #[error("gateway path {0}: it must start with / and be fit for a URL")]
    Path(String),
    #[error(
        "gateway header {0:?}: its name or value can't stand in a header; correct or remove it"
    )]
    Header(String),
    #[error("gateway {0}")]
    Tls(#[from] TlsError),
}

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As in the `Host` header.
    pub(super) authority: String,
    /// Without a slash at the end.
    pub(super) base: String,
}

impl Settings {
    pub(super) fn target(&self) -> Result<Target, SettingsError> {
        use SettingsError::Url;
        if self.url.contains(['?', '#']) {
            return Err(Url("it must not have a query or a fragment"));
        }
        let uri: Uri = self.url.parse().map_err(|_| Url("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Url("its scheme must be http or https")),
        };
        let authority = uri.authority().ok_or(Url("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(Url("it must not hold credentials; use a header"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(Url("it has no host"));
        }
        let port = match (authority.port_u16(), authority.as_str().rsplit_once(':')) {
            (Some(0), _) => return Err(Url("its port is 0")),
            (Some(port), _) => port,
            (None, Some((_, port))) if !port.ends_with(']') => {
                return Err(Url("its port is no number up to 65535"));
            }
            (None, _) => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        Ok(Target {
            tls,
            host: host.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn shape(&self, target: &Target) -> Result<Shape, SettingsError> {
        let endpoints = &self.endpoints;
        let outline = |request| Outline::new(&target.base, request, self.common_headers(target)?);
        let replay = endpoints.replay.as_ref();
        Ok(Shape {
            charge: outline(&endpoints.charge)?,
            lookup: endpoints.lookup.as_ref().map(outline).transpose()?,
            replay: replay
                .map(|(key, value)| Ok::<_, SettingsError>((name(key)?, value.clone())))
                .transpose()?,
        })
    }

    fn common_headers(&self, target: &Target) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, value("host", &target.authority)?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("tollbridge/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let credential = self.credential.as_ref().and_then(|credential| self.auth(credential));
        for (key, text) in self.headers.iter().chain(&credential) {
            let mut value = value(key, text)?;
            value.set_sensitive(true);
            headers.insert(name(key)?, value);
        }
        Ok(headers)
    }

    /// The header that says who asks.
    fn auth(&self, credential: &str) -> Option<(String, String)> {
        let authorization = |value| Some(("authorization".to_owned(), value));
        match &self.endpoints.auth {
            Auth::None => None,
            Auth::Bearer => authorization(format!("Bearer {credential}")),
            Auth::Basic => authorization(format!("Basic {}", BASE64.encode(credential))),
            Auth::Header(name) => Some((name.clone(), credential.to_owned())),
        }
    }
}

fn name(text: &str) -> Result<HeaderName, SettingsError> {
    text.parse().map_err(|_| SettingsError::Header(text.to_owned()))
}

fn value(name: &str, text: &str) -> Result<HeaderValue, SettingsError> {
    HeaderValue::from_str(text).map_err(|_| SettingsError::Header(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::gateway::{Profile, Text};

    fn settings(url: &str) -> Settings {
        Settings::new(url, Profile::generic().endpoints)
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, tls, host, port, base) in [
            ("https://pay.example", true, "pay.example", 443, ""),
            ("http://pay.example/", false, "pay.example", 80, ""),
            ("https://pay.example:8443/v1/", true, "pay.example", 8443, "/v1"),
            ("http://[::1]:80/a/b", false, "::1", 80, "/a/b"),
            ("https://[::1]", true, "::1", 443, ""),
            ("HTTPS://127.0.0.1", true, "127.0.0.1", 443, ""),
        ] {
            let target = settings(url).target().unwrap();
            let found = (target.tls, &*target.host, target.port, &*target.base);
            assert_eq!(found, (tls, host, port, base), "{url}");
        }
    }

    #[test]
    fn bad_urls_are_refused() {
        for url in [
            "",
            "pay.example",
            "/charges",
            "ftp://pay.example",
            "https://",
            "https://u:p@pay.example",
            "https://pay.example/?a=1",
            "https://pay.example/#a",
            "https://pay.example:0",
            "https://pay.example:99999",
            "https://pay.example:x",
            "https://pay example",
            "http://pay.example\r\n",
            "https://:443",
        ] {
            let error = settings(url).target().unwrap_err();
            assert!(matches!(error, SettingsError::Url(_)), "{url} gave {error}");
        }
    }

    #[test]
    fn paths_and_headers_are_checked_before_any_request() {
        let fails = |change: fn(&mut Settings)| {
            let mut settings = settings("https://pay.example/v1");
            change(&mut settings);
            let target = settings.target().unwrap();
            settings.shape(&target).unwrap_err()
        };
        for path in ["charges", "/a b", "/a\u{7f}"] {
            let path = Text::literal(path);
            let error = {
                let mut settings = settings("https://pay.example/v1");
                settings.endpoints.charge.path = path;
                let target = settings.target().unwrap();
                settings.shape(&target).unwrap_err()
            };
            assert!(matches!(error, SettingsError::Path(_)), "{error}");
        }
        let injected = |s: &mut Settings| s.headers = vec![("a".into(), "b\r\nc: d".into())];
        assert_eq!(fails(injected), SettingsError::Header("a".into()));
        let name = |s: &mut Settings| s.headers = vec![("a b".into(), "c".into())];
        assert_eq!(fails(name), SettingsError::Header("a b".into()));
    }

    #[test]
    fn a_credential_goes_where_the_profile_says() {
        for (auth, name, value) in [
            (Auth::Bearer, "authorization", "Bearer me:hush"),
            (Auth::Basic, "authorization", "Basic bWU6aHVzaA=="),
            (Auth::Header("x-api-key".into()), "x-api-key", "me:hush"),
        ] {
            let mut settings = settings("https://pay.example/v1");
            settings.credential = Some("me:hush".into());
            settings.endpoints.auth = auth;
            let target = settings.target().unwrap();
            assert_eq!(settings.common_headers(&target).unwrap()[name], value);
        }
    }

    #[test]
    fn printing_shows_no_secret() {
        let mut settings = settings("https://pay.example/v1?");
        settings.headers = vec![("authorization".into(), "Bearer hush".into())];
        settings.credential = Some("hush".into());
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
