//! Certificates for servers on 127.0.0.1, made by the `openssl` command.

use crate::error::Result;
use crate::process::Launch;
use crate::temp::TempDir;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Makes a key and a certificate that vouches for itself, so that it is its own authority; PEM.
///
/// # Errors
/// When there is no `openssl`, or it can't write the files.
pub fn self_signed(key: &Path, certificate: &Path) -> Result<()> {
    of_server(key, certificate).run(LIMIT).map(drop)
}

/// A certificate and its key; PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The file with the key.
    pub key: PathBuf,
    /// The file with the certificate.
    pub cert: PathBuf,
}

/// Who vouches for the certificates of others. Dropping it removes all that it made.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// A new one of this name, whom nobody trusts yet.
    ///
    /// # Errors
    /// When there is no `openssl`, or it can't write the files.
    pub fn new(name: &str) -> Result<Self> {
        let authority = Self { folder: TempDir::new("authority")? };
        let key = authority.folder.join("authority-key.pem");
        made(name, &key, &authority.certificate()).run(LIMIT)?;
        Ok(authority)
    }

    /// The file with its own certificate, which who trusts it has to be given; PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Makes a key, and a certificate that it vouches for.
    ///
    /// # Errors
    /// When there is no `openssl`, or it can't write the files.
    pub fn vouch(&self) -> Result<Tls> {
        let [key, cert] = ["key.pem", "cert.pem"].map(|name| self.folder.join(name));
        of_server(&key, &cert)
            .arg("-CA")
            .arg(self.certificate())
            .arg("-CAkey")
            .arg(self.folder.join("authority-key.pem"))
            .run(LIMIT)?;
        Ok(Tls { key, cert })
    }
}

/// For the address alone: who comes to `localhost` finds another name.
fn of_server(key: &Path, certificate: &Path) -> Launch {
    made("server", key, certificate)
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
}

fn made(name: &str, key: &Path, certificate: &Path) -> Launch {
    Launch::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}"), "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate)
}
