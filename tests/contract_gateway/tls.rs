//! TLS with an authority of our own, made anew for each test by the `openssl` command.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tollbridge::adapters::http_gateway::SettingsError;

use super::world::*;

fn openssl(folder: &TempDir, arguments: &str) {
    let launch = Launch::new("openssl").folder(folder.path()).args(arguments.split_whitespace());
    launch.run(LIMIT).unwrap();
}

/// `ca.pem`, and `server.pem` with `server.key` for the names given (`DNS:a,IP:b`).
fn certificates(folder: &TempDir, names: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca"),
    );
    openssl(folder, &format!("req {key} -keyout server.key -out server.csr -subj /CN=gateway"));
    std::fs::write(folder.join("names"), format!("subjectAltName={names}\n")).unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names";
    openssl(folder, &format!("{sign} -out server.pem -days 2"));
}

/// Answers every request with the approval of its key.
async fn serve(folder: &TempDir) -> Server {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start(move |_, socket| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            loop {
                let request = read_request(&mut socket).await;
                match request.lines().find_map(|line| line.strip_prefix("idempotency-key: ")) {
                    // Breaks off without a TLS goodbye.
                    None | Some("cut") => return,
                    Some(id) => socket.write_all(approval(id).as_bytes()).await.unwrap(),
                }
            }
        }
    })
    .await
}

fn trusting(url: &str, ca: &Path) -> HttpGateway {
    HttpGateway::new(&Settings { ca_file: Some(ca.to_owned()), ..settings(url) }).unwrap()
}

fn https(host: &str, server: &Server) -> String {
    format!("https://{host}:{}/", server.address.port())
}

#[tokio::test]
async fn a_trusted_gateway_is_charged_over_one_connection() {
    let folder = TempDir::new("tls").unwrap();
    certificates(&folder, "IP:127.0.0.1,DNS:localhost");
    let server = serve(&folder).await;
    for host in ["127.0.0.1", "localhost"] {
        let gateway = trusting(&https(host, &server), &folder.join("ca.pem"));
        let before = server.connections();
        for n in 0..20 {
            approved(&gateway, &format!("t{n}")).await;
        }
        assert_eq!(server.connections(), before + 1);
        assert_lost(&gateway.charge(&charge("cut")).await);
        gateway.probe().await.unwrap();
    }
}

#[tokio::test]
async fn an_untrusted_or_misnamed_gateway_is_sent_nothing() {
    let folder = TempDir::new("tls-bad").unwrap();
    certificates(&folder, "DNS:pay.example");
    let server = serve(&folder).await;
    let ca = folder.join("ca.pem");
    for gateway in [
        client(&https("127.0.0.1", &server)),
        trusting(&https("127.0.0.1", &server), &ca),
        trusting(&https("localhost", &server), &ca),
    ] {
        assert_not_sent(&gateway.charge(&charge("a")).await);
        assert!(gateway.probe().await.is_err());
    }
    let expired = TempDir::new("tls-other").unwrap();
    certificates(&expired, "IP:127.0.0.1");
    let stranger = trusting(&https("127.0.0.1", &serve(&expired).await), &ca);
    assert_not_sent(&stranger.charge(&charge("a")).await);
}

#[tokio::test]
async fn plain_and_silent_servers_behind_https_are_not_sent() {
    let plain = Server::says("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let connect_timeout = Duration::from_millis(300);
    let hasty =
        |url: &str| HttpGateway::new(&Settings { connect_timeout, ..settings(url) }).unwrap();
    assert_not_sent(&hasty(&https("127.0.0.1", &plain)).charge(&charge("a")).await);
    let silent = Server::start(|_, socket| async move {
        pending::<()>().await;
        drop(socket);
    })
    .await;
    let gateway = hasty(&https("127.0.0.1", &silent));
    let start = Instant::now();
    assert_not_sent(&gateway.charge(&charge("a")).await);
    let took = start.elapsed();
    assert!(
        took >= connect_timeout && took < LIMIT / 2,
        "{took:?}: not what is set for connecting"
    );
}

#[test]
fn a_ca_file_that_is_none_is_refused_at_once() {
    let folder = TempDir::new("tls-ca").unwrap();
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    std::fs::write(
        folder.join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for file in ["absent.pem", "empty.pem", "broken.pem"] {
        let ca_file = Some(folder.join(file));
        let refused = HttpGateway::new(&Settings { ca_file, ..settings("https://localhost") });
        let error = refused.err().unwrap();
        assert!(
            matches!(&error, SettingsError::Tls(_)) && error.to_string().contains(file),
            "{error}"
        );
    }
}
