//! A request but for what differs from one transaction to the next: made once, filled in for each call.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};

use super::settings::SettingsError;
use crate::domain::id::TransactionId;
use crate::wire::gateway::{Fill, Request as Description, Text};

#[derive(Debug)]
pub(super) struct Outline {
    method: Method,
    /// The base URL's path, which comes before the description's.
    base: String,
    /// Where the path is the same for all.
    uri: Option<Uri>,
    headers: HeaderMap,
    /// Headers with the transaction's id in them.
    of_id: Vec<(HeaderName, Text)>,
    description: Description,
}

/// All of a request but its body.
pub(super) struct Head<'a> {
    outline: &'a Outline,
    uri: Uri,
    headers: Vec<(&'a HeaderName, HeaderValue)>,
}

impl Outline {
    /// `headers`: what all requests carry.
    pub(super) fn new(
        base: &str,
        description: &Description,
        mut headers: HeaderMap,
    ) -> Result<Self, SettingsError> {
        let bad_path = || SettingsError::Path(format!("{:?}", description.path));
        let example = TransactionId::parse("x").map_err(|_| bad_path())?;
        let uri = |id| uri(base, description, id);
        let shown = uri(&example).ok_or_else(bad_path)?;
        let bad = |text: &str| SettingsError::Header(text.to_owned());
        let mut of_id = Vec::new();
        for (name, text) in &description.headers {
            let header = HeaderName::try_from(name).map_err(|_| bad(name))?;
            let filled = text.fill(Fill::Id(&example)).unwrap_or_default();
            let value = HeaderValue::from_str(&filled).map_err(|_| bad(name))?;
            // Its place is taken already, so that no request has to make room for it.
            headers.insert(&header, value);
            if text.fields().next().is_some() {
                of_id.push((header, text.clone()));
            }
        }
        if let Some(kind) = &description.content_type {
            let value = HeaderValue::from_str(kind).map_err(|_| bad("content-type"))?;
            headers.insert(CONTENT_TYPE, value);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        Ok(Self {
            method: description.method.parse().map_err(|_| bad_path())?,
            base: base.to_owned(),
            uri: description.path.fields().next().is_none().then_some(shown),
            headers,
            of_id,
            description: description.clone(),
        })
    }

    /// What a request for `id` begins with; an error where the id does not fit.
    pub(super) fn fill(&self, id: &TransactionId) -> Result<Head<'_>, String> {
        let uri = match &self.uri {
            Some(uri) => uri.clone(),
            None => {
                uri(&self.base, &self.description, id).ok_or("the id does not fit in a path")?
            }
        };
        let mut headers = Vec::with_capacity(self.of_id.len());
        for (name, text) in &self.of_id {
            let filled = text.fill(Fill::Id(id)).unwrap_or_default();
            let value = HeaderValue::from_str(&filled);
            headers.push((name, value.map_err(|_| "the id does not fit in a header")?));
        }
        Ok(Head { outline: self, uri, headers })
    }

    pub(super) fn body_for(&self, id: &TransactionId) -> Bytes {
        self.description.body_for(id)
    }
}

impl Head<'_> {
    pub(super) fn with(self, body: Bytes) -> Request<Full<Bytes>> {
        let length = body.len();
        let mut request = Request::new(Full::new(body));
        request.method_mut().clone_from(&self.outline.method);
        *request.uri_mut() = self.uri;
        let headers = request.headers_mut();
        headers.clone_from(&self.outline.headers);
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        match length {
            // Whether this method wants to be told of no body is left to the library.
            0 => headers.remove(CONTENT_LENGTH),
            _ => headers.insert(CONTENT_LENGTH, HeaderValue::from(length)),
        };
        request
    }
}

fn uri(base: &str, description: &Description, id: &TransactionId) -> Option<Uri> {
    let path = description.path.fill_url(id);
    if !path.starts_with('/') {
        return None;
    }
    format!("{base}{path}").parse().ok()
}
