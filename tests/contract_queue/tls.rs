//! TLS to a real Redis: a certificate of our own authority is trusted where the settings say so, and nowhere else.

use std::fs;
use std::path::Path;

use tollbridge::adapters::redis::{RedisQueue, Settings};
use tollbridge::ports::queue::{Admission, Queue};
use tollbridge_rig::{Launch, RedisOptions, TempDir, free_port};

use crate::values::{E, P, class, entry};
use crate::world::{PATIENCE, Real, run};

const NAMES: &str = "subjectAltName=IP:127.0.0.1";

#[test]
fn only_a_trusted_certificate_of_the_right_name_will_do() {
    let folder = TempDir::new("tls").unwrap();
    let [key, cert, other] = ["key.pem", "cert.pem", "other.pem"].map(|name| folder.join(name));
    certificate(&folder.join("other-key.pem"), &other);
    certificate(&key, &cert);
    let port = free_port();
    let w = Real::with(with_tls(port, &key, &cert));
    let at = |host: &str, ca: Option<&Path>| {
        let settings = w.settings(&format!("rediss://{host}:{port}"));
        RedisQueue::new(&Settings { ca_file: ca.map(Path::to_owned), ..settings }).unwrap()
    };
    run(async {
        let q = at("127.0.0.1", Some(&cert));
        q.claim(P, E).await.unwrap();
        assert_eq!(q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap(), [Admission::New]);
        for (what, q) in [
            ("nobody is trusted but public roots", at("127.0.0.1", None)),
            ("someone else is trusted", at("127.0.0.1", Some(&other))),
            ("the certificate has another name", at("localhost", Some(&cert))),
        ] {
            let refused = q.claim(P, E).await;
            assert_eq!(class(&refused), "transient", "{what}");
            assert!(format!("{refused:?}").contains("certificate"), "{what}: {refused:?}");
        }
    });
}

#[test]
fn a_file_without_certificates_is_named() {
    let folder = TempDir::new("tls").unwrap();
    let empty = folder.join("empty.pem");
    fs::write(&empty, "nothing of use").unwrap();
    let broken = folder.join("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for (url, file) in [
        ("rediss://127.0.0.1:1", empty.clone()),
        ("rediss://127.0.0.1:1", broken),
        ("rediss://127.0.0.1:1", folder.join("absent.pem")),
        ("redis://127.0.0.1:1", empty),
    ] {
        let settings = crate::world::settings(url, "p");
        let refused = RedisQueue::new(&Settings { ca_file: Some(file.clone()), ..settings });
        assert_eq!(class(&refused), "permanent", "{file:?}");
        assert!(format!("{refused:?}").contains("redis.ca_file"), "{refused:?}");
    }
}

/// One that vouches for itself, so that it is its own authority.
fn certificate(key: &Path, cert: &Path) {
    Launch::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=redis", "-addext", NAMES])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(cert)
        .run(PATIENCE)
        .unwrap();
}

fn with_tls(port: u16, key: &Path, cert: &Path) -> RedisOptions {
    let port = port.to_string();
    let (key, cert) = (key.display().to_string(), cert.display().to_string());
    let args = [
        ["--tls-port", &port],
        ["--tls-key-file", &key],
        ["--tls-cert-file", &cert],
        ["--tls-ca-cert-file", &cert],
        ["--tls-auth-clients", "no"],
    ];
    RedisOptions { args: args.concat().into_iter().map(str::to_owned).collect(), ..quick() }
}

fn quick() -> RedisOptions {
    RedisOptions { appendonly: false, ..RedisOptions::default() }
}
