//! A schema registry, by the API that Confluent's registry has and others offer too. It is asked and told, and
//! remembers nothing; what a schema says is read elsewhere.

mod said;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use self::said::Said;
use crate::domain::hex::hex;
use crate::domain::schema::{Registered, SchemaRef};
use crate::tls::{self, TlsError};
use crate::wire::percent;

/// A schema with all that it refers to is smaller.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Schemas that one schema needs, all in all.
const REFERENCES_MAX: usize = 64;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// How the registry is reached.
#[derive(Clone)]
pub struct Settings {
    /// `http://` or `https://`, host, optional port and base path.
    pub url: String,
    /// Who asks. Not printed.
    pub credential: Option<Credential>,
    /// Certificates trusted beside the public roots, PEM.
    pub ca_file: Option<PathBuf>,
    /// Of one request.
    pub timeout: Duration,
}

/// Who asks.
#[derive(Clone)]
pub enum Credential {
    /// `user:password`
    Basic(String),
    Bearer(String),
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// A setting that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("schema registry url: it is no URL such as https://registry.example:8081")]
    Url,
    #[error("schema registry credential: it can't stand in a header")]
    Credential,
    #[error("schema registry {0}")]
    Tls(#[from] TlsError),
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The registry does not answer, or is in trouble; ask again.
    #[error("{0}")]
    Away(String),
    /// It answers, and does not do what is asked: whoever asks may not, or a schema does not fit those before it.
    #[error("{0}")]
    Refused(String),
}

/// A client of one registry. Clones share its connections.
#[derive(Clone)]
pub struct Registry {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at the end.
    base: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Registry {
    /// Checks the settings and reads the CA file; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting and what is wrong with it.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let uri: Uri = settings.url.parse().map_err(|_| SettingsError::Url)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.authority().is_none() || uri.query().is_some() {
            return Err(SettingsError::Url);
        }
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(settings.ca_file.as_deref())?)
            .https_or_http()
            .enable_http1()
            .build();
        let authorization = settings.credential.as_ref().map(|credential| match credential {
            Credential::Basic(text) => format!("Basic {}", BASE64.encode(text)),
            Credential::Bearer(token) => format!("Bearer {token}"),
        });
        let authorization = authorization.map(|text| {
            let mut value = HeaderValue::from_str(&text).map_err(|_| SettingsError::Credential)?;
            value.set_sensitive(true);
            Ok::<_, SettingsError>(value)
        });
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base: settings.url.trim_end_matches('/').to_owned(),
            authorization: authorization.transpose()?,
            timeout: settings.timeout,
        })
    }

    /// Whether it is there and answers us.
    ///
    /// # Errors
    /// Why not.
    pub async fn probe(&self) -> Result<(), AskError> {
        self.get("/schemas/types").await.map(drop)
    }

    /// What it holds under this name, with all that this refers to.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn schema(&self, name: SchemaRef) -> Result<Registered, AskError> {
        let path = match name {
            SchemaRef::Id(id) => format!("/schemas/ids/{id}"),
            SchemaRef::Guid(guid) => format!("/schemas/guids/{}", uuid(&guid)),
        };
        let Some(answer) = self.get(&path).await? else { return Ok(Registered::Nothing) };
        let said = Said::read(&answer).map_err(AskError::Away)?;
        if let Some(kind) = said.kind {
            return Ok(Registered::Other(kind));
        }
        let references = self.references(said.references).await?;
        Ok(Registered::Avro { schema: said.schema, references })
    }

    /// All schemas that these name, each once.
    async fn references(&self, named: Vec<(String, u64)>) -> Result<Vec<String>, AskError> {
        let (mut next, mut seen, mut all) = (named, Vec::new(), Vec::new());
        while let Some(reference) = next.pop() {
            if seen.contains(&reference) {
                continue;
            }
            if seen.len() == REFERENCES_MAX {
                let why = format!("a schema refers to more than {REFERENCES_MAX} others");
                return Err(AskError::Refused(why));
            }
            let (subject, version) = &reference;
            let path = format!("/subjects/{}/versions/{version}", encoded(subject));
            let answer = self.get(&path).await?;
            let answer = answer.ok_or_else(|| {
                AskError::Refused(format!(
                    "a schema refers to {subject}, version {version}, which is not there"
                ))
            })?;
            let said = Said::read(&answer).map_err(AskError::Away)?;
            next.extend(said.references);
            all.push(said.schema);
            seen.push(reference);
        }
        Ok(all)
    }

    /// The id of a schema of ours under a subject; `None` where it is not registered there.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<Option<u32>, AskError> {
        let path = format!("/subjects/{}", encoded(subject));
        let answer = self.ask(Method::POST, &path, Some(json!({ "schema": schema }))).await?;
        answer.map(|answer| id(&answer)).transpose()
    }

    /// Registers a schema of ours under a subject, or finds that it is; its id.
    ///
    /// # Errors
    /// It does not take it, or does not tell.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, AskError> {
        let path = format!("/subjects/{}/versions", encoded(subject));
        let answer = self.ask(Method::POST, &path, Some(json!({ "schema": schema }))).await?;
        let refused = || AskError::Refused(format!("{path}: there is no such path"));
        id(&answer.ok_or_else(refused)?)
    }

    async fn get(&self, path: &str) -> Result<Option<Value>, AskError> {
        self.ask(Method::GET, path, None).await
    }

    /// `None`: it knows no such thing.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Option<Value>, AskError> {
        let asking = self.exchange(method, path, body);
        let answered = tokio::time::timeout(self.timeout, asking).await;
        let away = |why: String| AskError::Away(format!("{path}: {why}"));
        let (status, body) = match answered {
            Ok(answered) => answered.map_err(away)?,
            Err(_) => return Err(away(format!("no answer within {:?}", self.timeout))),
        };
        let read = serde_json::from_slice::<Value>(&body);
        match status {
            StatusCode::OK => match read {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(away("an answer that is no JSON".into())),
            },
            // Its own error says that the thing is not there; a 404 without one may be of whoever stands in front.
            StatusCode::NOT_FOUND if said::names_error(read.as_ref().ok()) => Ok(None),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_FOUND => Err(away(status.to_string())),
            status if status.is_server_error() => Err(away(status.to_string())),
            status => {
                let why = said::message(read.ok()).unwrap_or_default();
                Err(AskError::Refused(format!("{path}: {status} {why}").trim_end().to_owned()))
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(ACCEPT, format!("{MEDIA_TYPE}, application/json"))
            .header(USER_AGENT, concat!("tollbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, MEDIA_TYPE);
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| reason(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
}

fn id(answer: &Value) -> Result<u32, AskError> {
    let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| AskError::Away("an answer without an id".into()))
}

/// An error with its causes, which the client leaves out of its texts.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").ok();
        cause = error.source();
    }
    text
}

/// `01234567-89ab-cdef-0123-456789abcdef`
fn uuid(guid: &[u8; 16]) -> String {
    let digits = hex(guid);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

/// A subject as a part of a path.
fn encoded(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    percent::encode(&mut out, subject);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_reached_is_refused_before_anything_is_sent() {
        let new = |url: &str, credential| {
            let (url, timeout) = (url.to_owned(), Duration::from_secs(1));
            Registry::new(&Settings { url, credential, ca_file: None, timeout })
        };
        for url in ["", "registry:8081", "ftp://registry", "/schemas", "http://registry?a=b"] {
            assert_eq!(new(url, None).err(), Some(SettingsError::Url), "{url}");
        }
        assert!(new("https://registry.example/apis/ccompat/v7/", None).is_ok());
        let broken = Credential::Bearer("a\nb".into());
        assert_eq!(new("http://r", Some(broken)).err(), Some(SettingsError::Credential));
    }

    #[test]
    fn names_stand_in_a_path() {
        let guid = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();
        assert_eq!(uuid(&guid), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(encoded("a/b-value?"), "a%2Fb-value%3F");
    }
}
