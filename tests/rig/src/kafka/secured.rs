//! A listener that takes nobody in without TLS and SCRAM, and rights that a broker asks about. Who comes through the
//! other listeners may do everything, so that the rig itself needs no rights.

use super::codec::Encoder;
use super::wire::call;
use crate::certificate;
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use std::fs;
use std::path::{Path, PathBuf};

const CREATE_ACLS: (i16, i16) = (30, 1);
const DELETE_ACLS: (i16, i16) = (31, 1);
const ALLOW: u8 = 3;

/// Who may come in, by name and password.
#[derive(Debug, Clone, Default)]
pub struct Secured {
    pub users: Vec<(String, String)>,
}

/// What rights are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read = 3,
    Write = 4,
    DescribeConfigs = 10,
}

impl Operation {
    /// As Kafka's own tools write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Read, Self::Write, Self::DescribeConfigs];
        all.into_iter().find(|operation| format!("{operation:?}") == text)
    }
}

/// One thing that one resource, or all of those whose names begin so, lets a user do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    pub resource: Resource,
    pub name: String,
    pub is_prefix: bool,
    pub operation: Operation,
}

/// The listener's port, and its certificate, which vouches for itself.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) port: u16,
    pub(super) certificate: PathBuf,
    /// The certificate with its key.
    identity: PathBuf,
}

impl Listener {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let chain = folder.join("certificate.pem");
        let identity = folder.join("identity.pem");
        certificate::self_signed(&identity, &chain)?;
        let [key, vouched] = [&identity, &chain].map(fs::read_to_string);
        let text = key.and_then(|key| Ok(key + &vouched?)).doing(|| "read a certificate".into())?;
        fs::write(&identity, text).doing(|| format!("write {}", identity.display()))?;
        Ok(Self { port: free_port(), certificate: chain, identity })
    }

    /// Lines for `server.properties`.
    pub(super) fn properties(&self) -> String {
        let identity = self.identity.display();
        format!(
            "listener.name.secured.ssl.keystore.type=PEM\n\
             listener.name.secured.ssl.keystore.location={identity}\n\
             listener.name.secured.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.secured.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS\n"
        )
    }
}

/// Gives a user these rights.
pub(super) fn allow(port: u16, user: &str, rights: &[Right]) -> Result<()> {
    let mut answer = call(port, CREATE_ACLS, &asked(user, rights))?;
    answer.int32()?; // throttle time
    for _ in 0..answer.int32()? {
        let code = answer.int16()?;
        let message = answer.text()?.unwrap_or_default();
        if code != 0 {
            return Err(Error::new(format!("cannot give {user} a right: {message} ({code})")));
        }
    }
    Ok(())
}

/// Takes these rights from a user; each must have been given.
pub(super) fn forbid(port: u16, user: &str, rights: &[Right]) -> Result<()> {
    let mut answer = call(port, DELETE_ACLS, &asked(user, rights))?;
    answer.int32()?; // throttle time
    for _ in 0..answer.int32()? {
        let code = answer.int16()?;
        answer.text()?; // message
        let taken = answer.int32()?;
        if (code, taken) != (0, 1) {
            let what = format!("{taken} rights were taken from {user} at a time (code {code})");
            return Err(Error::new(what));
        }
        answer.int16()?; // code
        answer.text()?; // message
        answer.take(1)?; // resource
        answer.text()?; // its name
        answer.take(1)?; // literal or a prefix
        answer.text()?; // user
        answer.text()?; // host
        answer.take(2)?; // operation, permission
    }
    Ok(())
}

/// The same fields give a right, and find the one to be taken away.
fn asked(user: &str, rights: &[Right]) -> Encoder {
    let mut body = Encoder::default();
    body.count(rights.len());
    for right in rights {
        body.bytes.push(right.resource as u8);
        body.text(&right.name);
        body.bytes.push(if right.is_prefix { 4 } else { 3 });
        body.text(&format!("User:{user}"));
        body.text("*"); // from everywhere
        body.bytes.push(right.operation as u8);
        body.bytes.push(ALLOW);
    }
    body
}
