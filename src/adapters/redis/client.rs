//! From the address to a client that hasn't connected yet: what is wrong with the address shows here.

use std::path::Path;

use redis::{Client, RedisError, TlsCertificates};

use crate::ports::queue::QueueError;

/// Public roots are trusted, or the certificates of the file in place of them.
pub(super) fn open(url: &str, ca_file: Option<&Path>) -> Result<Client, QueueError> {
    let Some(path) = ca_file else { return Client::open(url).map_err(|e| bad_url(&e)) };
    if !url.starts_with("rediss://") {
        return Err(QueueError::Permanent(
            "redis.ca_file is for TLS, which redis.url doesn't ask for; write rediss://, or remove \
             redis.ca_file"
                .into(),
        ));
    }
    Client::open(url).map_err(|e| bad_url(&e))?;
    let bad_file = |why: &str| {
        let path = path.display();
        let remedy = "give certificates in PEM";
        QueueError::Permanent(format!("redis.ca_file {path} can't be used ({why}); {remedy}"))
    };
    let pem = std::fs::read(path).map_err(|e| bad_file(&e.to_string()))?;
    // None at all would not be an error to the client: it would trust nobody.
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(bad_file("it holds no certificate"));
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
    Client::build_with_tls(url, certificates).map_err(|e| bad_file(&e.to_string()))
}

/// The client's words may repeat the address, password included: their kind alone is told.
fn bad_url(error: &RedisError) -> QueueError {
    QueueError::Permanent(format!(
        "redis.url can't be read ({}); write redis://host:port/db, or rediss:// for TLS",
        error.category()
    ))
}
