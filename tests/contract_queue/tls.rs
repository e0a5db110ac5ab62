//! TLS to real servers: a certificate of our own authority is trusted where the settings say so, and nowhere else.

use std::fs;
use std::path::Path;

use tollbridge::adapters::redis::{RedisQueue, Settings};
use tollbridge::domain::id::Partition;
use tollbridge::ports::queue::{Admission, Queue};
use tollbridge_rig::certificate::self_signed;
use tollbridge_rig::{Cluster, RedisOptions, Sentinels, TempDir, Tls};

use crate::values::{E, P, class, entry};
use crate::world::{Masters, Real, run};

#[test]
fn only_a_trusted_certificate_of_the_right_name_will_do() {
    let folder = TempDir::new("tls").unwrap();
    let [key, cert, other] = ["key.pem", "cert.pem", "other.pem"].map(|name| folder.join(name));
    self_signed(&folder.join("other-key.pem"), &other).unwrap();
    self_signed(&key, &cert).unwrap();
    let w = Real::with(with_tls(&key, &cert));
    let port = w.server().peer_port();
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

/// Sentinels and the master that they name, and all of a cluster's nodes, are trusted by one file, and by no other.
#[test]
fn several_servers_are_trusted_alike() {
    let folder = TempDir::new("tls").unwrap();
    let [key, cert, other] = ["key.pem", "cert.pem", "other.pem"].map(|name| folder.join(name));
    self_signed(&folder.join("other-key.pem"), &other).unwrap();
    self_signed(&key, &cert).unwrap();
    with_the_right_file_alone(&Cluster::start_with(&with_tls(&key, &cert)).unwrap(), &cert, &other);
    with_the_right_file_alone(
        &Sentinels::start_with(with_tls(&key, &cert)).unwrap(),
        &cert,
        &other,
    );
}

fn with_the_right_file_alone(servers: &impl Masters, right: &Path, wrong: &Path) {
    let at = |ca: &Path| {
        let plain = servers.settings("p");
        let url = plain.url.replace("redis://", "rediss://");
        RedisQueue::new(&Settings { url, ca_file: Some(ca.to_owned()), ..plain }).unwrap()
    };
    run(async {
        let q = at(right);
        for partition in (0..16).map(Partition) {
            q.claim(partition, E).await.unwrap();
            let admitted = q.admit(partition, E, &[entry("a", 1, "a")]).await.unwrap();
            assert_eq!(admitted, [Admission::New]);
        }
        let refused = at(wrong).claim(P, E).await;
        assert_eq!(class(&refused), "transient");
        assert!(format!("{refused:?}").contains("certificate"), "{refused:?}");
    });
}

fn with_tls(key: &Path, cert: &Path) -> RedisOptions {
    let tls = Some(Tls { key: key.to_owned(), cert: cert.to_owned() });
    RedisOptions { appendonly: false, tls, ..RedisOptions::default() }
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
