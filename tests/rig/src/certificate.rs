//! Certificates for servers on 127.0.0.1, made by the `openssl` command.

use crate::error::Result;
use crate::process::Launch;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Makes a key and a certificate that vouches for itself, so that it is its own authority; PEM.
///
/// # Errors
/// When there is no `openssl`, or it can't write the files.
pub fn self_signed(key: &Path, certificate: &Path) -> Result<()> {
    Launch::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=server"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .run(LIMIT)
        .map(drop)
}
