//! Gateways that are described: what leaves on the wire, and `tollbridge gateway check` against the simulator.

use std::sync::{Arc, Mutex};

use figment::providers::{Format, Toml};

use super::world::*;

/// A gateway that nobody here has seen: a PUT, a form, basic authentication, a lookup by POST that finds a list.
const ODD: &str = r#"
name = "odd"
replays = "approvals"
[auth]
scheme = "basic"
[charge]
method = "PUT"
path = "/pay/{transaction_id}?v=2"
encoding = "form"
[charge.headers]
X-Request = "{transaction_id:uuid}"
[charge.body]
who = "{account_id}"
sum = "{amount:decimal}"
[lookup]
method = "POST"
path = "/find"
list = "/hits"
consistent = "at_once"
[lookup.body]
ref = "{transaction_id}"
[answer]
id = "/no"
status = "/ok"
error = "/why"
transaction_id = "/ref"
amount = "/sum"
amount_form = "decimal"
currency = "/unit"
id_on_decline = false
[[rule]]
http = 201
status = true
means = "approved"
[[rule]]
http = 201
status = false
means = "declined"
"#;

fn odd() -> Profile {
    let tree: serde_json::Value = Toml::from_str(ODD).unwrap();
    Profile::describe(&tree, |_| None).unwrap()
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What arrived first, and the answer.
async fn asked<F: Future<Output = Answer>>(
    said: String,
    ask: impl FnOnce(HttpGateway) -> F,
) -> (String, Answer) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    let server = Server::start(move |_, mut socket| {
        let (said, noted) = (said.clone(), Arc::clone(&noted));
        async move {
            let mut buffer = [0; 4096];
            let mut all = Vec::new();
            // The body may come apart from the head; both end in a way of their own.
            while !all.ends_with(b"who=acc-1") && !all.ends_with(b"}") {
                match tokio::io::AsyncReadExt::read(&mut socket, &mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(bytes) => all.extend_from_slice(&buffer[..bytes]),
                }
            }
            *noted.lock().unwrap() = all;
            tokio::io::AsyncWriteExt::write_all(&mut socket, said.as_bytes()).await.ok();
        }
    })
    .await;
    let gateway = HttpGateway::new(&Settings {
        endpoints: odd().endpoints,
        credential: Some("me:hush".into()),
        ..settings(&server.url)
    })
    .unwrap();
    let answer = ask(gateway).await;
    let heard = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
    (heard, answer)
}

#[tokio::test]
async fn a_described_charge_leaves_as_described_and_is_read_as_described() {
    let tx = transaction("t:1");
    let charge = Charge { id: tx.id.clone(), body: odd().charge_body(&tx) };
    let record = r#"{"ok":true,"no":77,"ref":"t:1","sum":12.5,"unit":"eur"}"#;
    let (heard, answer) =
        asked(
            answer("201 Created", record),
            |gateway| async move { gateway.charge(&charge).await },
        )
        .await;
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("PUT /pay/t%3A1?v=2 HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("authorization: basic bwu6ahvzaa=="), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    let key = head.lines().find_map(|line| line.strip_prefix("x-request: ")).unwrap();
    assert_eq!(key.len(), 36, "{key}");
    assert_eq!(body, "sum=12.50&who=acc-1");
    let verdict = odd().verdict(LATER, &Expected::from(&tx), &answer);
    assert_eq!(verdict, Verdict::Approved { gateway_id: "77".into() });
}

#[tokio::test]
async fn a_described_lookup_asks_with_a_body_and_reads_a_list() {
    let tx = transaction("t:1");
    let hit = r#"{"hits":[{"ok":false,"ref":"t:1","sum":"12.50","unit":"EUR"}]}"#;
    let id = tx.id.clone();
    let (heard, answer) =
        asked(answer("201 Created", hit), |gateway| async move { gateway.lookup(&id).await }).await;
    assert!(heard.starts_with("POST /find HTTP/1.1\r\n"), "{heard}");
    assert!(heard.ends_with("{\"ref\":\"t:1\"}"), "{heard}");
    let verdict = odd().verdict(Asked::Lookup, &Expected::from(&tx), &answer);
    assert_eq!(verdict, Verdict::Declined { code: "declined".into(), gateway_id: None });
}

fn check(url: &str, more: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(["gateway", "check", "--account", "acc", "--payment-method", "pm", "--amount", "125"])
        .args(["--currency", "EUR", "--set", "kafka.brokers=127.0.0.1:1"])
        .args(["--set", "gateway.key_ttl=24h", "--set", &format!("gateway.url={url}")])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn one_real_transaction_tells_how_a_gateway_is_read() {
    let folder = TempDir::new("gateway-check").unwrap();
    let ledger = folder.join("ledger.jsonl");
    let sim = Sim::start(&ledger, &[]);
    let output = check(&sim.url, &["--id", "check-1"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(lines[1].starts_with("charge: HTTP 200") && lines[1].contains("approved as"), "{told}");
    assert!(lines[2].contains("marked as a replay"), "{told}");
    assert!(lines[3].starts_with("lookup: HTTP 200"), "{told}");
    assert_eq!(charges(&ledger, "check-1"), 1);
}

#[test]
fn a_gateway_that_can_not_be_reached_is_a_problem_found() {
    let output = check("http://127.0.0.1:1", &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("not sent"), "{told}");
}

#[test]
fn a_profile_that_lacks_its_credential_is_told_so() {
    let output = check("http://127.0.0.1:1", &["--set", "gateway.profile=stripe"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains("gateway.credential: it has to be set for profile stripe"), "{told}");
}

#[test]
fn a_profile_of_ones_own_is_checked_flaw_by_flaw() {
    let folder = TempDir::new("profile").unwrap();
    let file = folder.join("mine.toml");
    std::fs::write(&file, ODD.replace("means = \"approved\"", "means = \"aproved\"")).unwrap();
    let set = format!("gateway.profile_file={}", file.display());
    let output = check("http://127.0.0.1:1", &["--set", &set]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains("mine.toml: rule.1.means: there is no such choice as \"aproved\""),
        "{told}"
    );
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(["gateway", "show", "stripe"])
        .output()
        .unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains("name = \"stripe\""));
}
