//! The client of a schema registry on a real one, Apicurio, below the paths of Confluent's API.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends here")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use tollbridge::adapters::registry::{AskError, Credential, Registry, Settings};
use tollbridge::domain::schema::{Registered, SchemaRef};
use tollbridge_rig::{Registry as Server, free_port, shared_registry};

fn client(url: &str) -> Registry {
    let settings = Settings {
        url: url.to_owned(),
        credential: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
    };
    Registry::new(&settings).unwrap()
}

const MORE: &str = r#",{"name":"b","type":["null","long"],"default":null}"#;

fn record(name: &str, more: &str) -> String {
    format!(
        r#"{{"type":"record","name":"{name}","namespace":"acme","fields":[{{"name":"a","type":"long"}}{more}]}}"#
    )
}

fn is_away<T: std::fmt::Debug>(answer: &Result<T, AskError>) -> bool {
    matches!(answer, Err(AskError::Away(_)))
}

#[tokio::test]
async fn a_schema_is_told_by_its_id_and_what_is_not_there_is_nothing() {
    let server = shared_registry();
    let registry = client(&server.url());
    registry.probe().await.unwrap();
    let schema = record("Plain", "");
    let id = server.register("plain-value", &schema).unwrap();
    let told = registry.schema(SchemaRef::Id(id)).await.unwrap();
    let Registered::Avro { schema: told, references } = told else { panic!("{told:?}") };
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!((value(&told), references.len()), (value(&schema), 0));
    let nothing = registry.schema(SchemaRef::Id(987_654)).await.unwrap();
    assert_eq!(nothing, Registered::Nothing);
}

#[tokio::test]
async fn what_a_schema_refers_to_comes_with_it() {
    let server = shared_registry();
    let registry = client(&server.url());
    server
        .register("kind", r#"{"type":"enum","name":"Kind","namespace":"acme","symbols":["A"]}"#)
        .unwrap();
    let refer =
        |name: &str, subject: &str| json!([{ "name": name, "subject": subject, "version": 1 }]);
    let shop = record("Shop", r#",{"name":"kind","type":"acme.Kind"}"#);
    let shop = json!({ "schema": shop, "references": refer("acme.Kind", "kind") });
    server.register_with("shop", &shop).unwrap();
    let sale = record("Sale", r#",{"name":"shop","type":"acme.Shop"}"#);
    let sale = json!({ "schema": sale, "references": refer("acme.Shop", "shop") });
    let id = server.register_with("sale-value", &sale).unwrap();
    let told = registry.schema(SchemaRef::Id(id)).await.unwrap();
    let Registered::Avro { references, .. } = told else { panic!("{told:?}") };
    assert_eq!(references.len(), 2, "{references:?}");
    assert!(references[0].contains("Shop") && references[1].contains("symbols"), "{references:?}");
}

#[tokio::test]
async fn other_kinds_of_schemas_are_named() {
    let server = shared_registry();
    const SCHEMA: &str = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"#;
    let request = json!({ "schema": SCHEMA, "schemaType": "JSON" });
    let id = server.register_with("json-value", &request).unwrap();
    let told = client(&server.url()).schema(SchemaRef::Id(id)).await.unwrap();
    assert_eq!(told, Registered::Other("JSON".into()));
}

#[tokio::test]
async fn a_schema_of_ours_is_found_once_it_is_registered() {
    let registry = client(&shared_registry().url());
    let (subject, schema) = ("a/b ours-value", record("Ours", ""));
    assert_eq!(registry.id_of(subject, &schema).await.unwrap(), None);
    let id = registry.register(subject, &schema).await.unwrap();
    assert_eq!(registry.id_of(subject, &schema).await.unwrap(), Some(id));
    assert_eq!(registry.register(subject, &schema).await.unwrap(), id);
    assert_eq!(registry.id_of("another-value", &schema).await.unwrap(), None);
    let refused = registry.register("broken-value", "{").await;
    assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
}

/// Topics of the same events share a schema: one id serves all of their subjects, whoever registered it where first.
#[tokio::test]
async fn the_same_schema_has_one_id_whatever_it_is_called() {
    let registry = client(&shared_registry().url());
    let schema = record("Shared", "");
    let subjects = ["shared-value", "acme.Shared", "shared-acme.Shared"];
    let mut ids = Vec::new();
    for subject in subjects {
        assert_eq!(registry.id_of(subject, &schema).await.unwrap(), None, "{subject}");
        ids.push(registry.register(subject, &schema).await.unwrap());
    }
    assert_eq!(ids, [ids[0]; 3]);
    for subject in subjects {
        assert_eq!(registry.id_of(subject, &schema).await.unwrap(), Some(ids[0]), "{subject}");
    }
    let other = registry.register("acme.Shared", &record("Shared", MORE)).await.unwrap();
    assert_ne!(other, ids[0]);
}

/// A registry that is killed or silent, a port where nobody is, and a server that is none.
#[tokio::test]
async fn who_does_not_answer_is_away() {
    let server = Server::start().unwrap();
    let settings = Settings {
        url: server.url(),
        credential: None,
        ca_file: None,
        timeout: Duration::from_secs(1),
    };
    let registry = Registry::new(&settings).unwrap();
    registry.probe().await.unwrap();
    server.pause().unwrap();
    assert!(is_away(&registry.schema(SchemaRef::Id(1)).await));
    server.resume().unwrap();
    registry.probe().await.unwrap();
    server.kill();
    assert!(is_away(&registry.probe().await));
    server.start_again().unwrap();
    registry.probe().await.unwrap();

    let nobody = client(&format!("http://127.0.0.1:{}", free_port()));
    assert!(is_away(&nobody.schema(SchemaRef::Id(1)).await));
    // Of whoever stands in front, and says nothing of schemas.
    for answer in [
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    ] {
        let (url, asked) = answers(answer);
        assert!(is_away(&client(&url).schema(SchemaRef::Id(1)).await), "{answer}");
        asked.join().unwrap();
    }
}

/// One answer to one request; what was asked.
fn answers(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        let length = socket.read(&mut asked).unwrap();
        socket.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    (url, thread)
}

/// Apicurio asks nobody who they are; what is sent is seen by a socket.
#[tokio::test]
async fn who_asks_is_said_and_a_refusal_is_told() {
    const NO: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 44\r\n\r\n{\"error_code\":40101,\"message\":\"who are you\"}";
    for (credential, header) in [
        (Credential::Basic("ada:secret".into()), "authorization: Basic YWRhOnNlY3JldA=="),
        (Credential::Bearer("t0ken".into()), "authorization: Bearer t0ken"),
    ] {
        let (url, asked) = answers(NO);
        let settings = Settings {
            url,
            credential: Some(credential),
            ca_file: None,
            timeout: Duration::from_secs(5),
        };
        let registry = Registry::new(&settings).unwrap();
        let refused = registry.schema(SchemaRef::Guid([0x11; 16])).await.unwrap_err();
        let said =
            "/schemas/guids/11111111-1111-1111-1111-111111111111: 401 Unauthorized who are you";
        assert_eq!(refused, AskError::Refused(said.into()));
        let asked = asked.join().unwrap();
        assert!(asked.contains(header), "{asked}");
        assert!(!format!("{registry:?}").contains("secret"));
    }
}
