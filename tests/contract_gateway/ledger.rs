//! The simulator's ledger as a file: what is refused, what is repaired, what is there to be read.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use super::world::*;
use tollbridge_rig::Launch;

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_the_rest_is_kept() {
    let folder = TempDir::new("torn").unwrap();
    let ledger = folder.join("ledger.jsonl");
    let sim = Sim::start(&ledger, &[]);
    approved(&client(&sim.url), "a").await;
    let whole = std::fs::read_to_string(&ledger).unwrap();
    assert!(sim.process.terminate(LIMIT).unwrap().success(), "SIGTERM ends it with 0");
    let mut file = OpenOptions::new().append(true).open(&ledger).unwrap();
    file.write_all(&whole.as_bytes()[..40]).unwrap();

    let sim = Sim::start(&ledger, &[]);
    assert_eq!(std::fs::read_to_string(&ledger).unwrap(), whole);
    let gateway = client(&sim.url);
    assert!(response(gateway.charge(&charge("a")).await).replayed);
    approved(&gateway, "b").await;
    let ids: Vec<_> = ["a", "b"].map(|id| decisions(&ledger, id)[0].1.clone()).into();
    assert_eq!(ids, ["ch_000000000001", "ch_000000000002"]);
}

#[tokio::test]
async fn declines_survive_and_unkept_ones_stay_unkept() {
    let folder = TempDir::new("declines").unwrap();
    let ledger = folder.join("ledger.jsonl");
    let script =
        "[[fault]]\nkind='decline'\nmatch=['a']\n[[fault]]\nkind='decline-unkept'\nmatch=['b']";
    let sim = Sim::with_faults(&folder, script);
    for id in ["a", "b"] {
        response(client(&sim.url).charge(&charge(id)).await);
    }
    sim.process.kill();
    let sim = Sim::start(&ledger, &[]);
    let gateway = client(&sim.url);
    let kept = response(gateway.charge(&charge("a")).await);
    assert!(kept.replayed && kept.body.ends_with(b"\"code\":\"insufficient_funds\"}"), "{kept:?}");
    approved(&gateway, "b").await;
    assert_eq!((charges(&ledger, "a"), charges(&ledger, "b")), (0, 1));
}

#[tokio::test]
async fn the_ledger_is_served_and_attempts_stand_beside_it() {
    let folder = TempDir::new("served").unwrap();
    let ledger = folder.join("ledger.jsonl");
    let sim = Sim::start(&ledger, &[]);
    let gateway = client(&sim.url);
    for id in ["a", "b", "a"] {
        approved(&gateway, id).await;
    }
    let mut socket = tokio::net::TcpStream::connect(&sim.url["http://".len()..]).await.unwrap();
    let ask = b"GET /ledger HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut socket, ask).await.unwrap();
    let mut told = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut told).await.unwrap();
    let file = std::fs::read_to_string(&ledger).unwrap();
    assert_eq!(told.split_once("\r\n\r\n").unwrap().1, file);
    for field in ["key", "transaction_id", "amount", "currency", "outcome", "at"] {
        assert!(file.lines().all(|line| line.contains(&format!("\"{field}\":"))), "{field}");
    }
    // A replay does not wait for its attempt to be written.
    attempted(&ledger, "a", 2).await;
    let attempts = lines(&folder.join("ledger.jsonl.attempts"));
    let counted: Vec<_> =
        attempts.iter().map(|it| (it["key"].as_str(), it["attempt"].as_u64())).collect();
    assert_eq!(counted, [(Some("a"), Some(1)), (Some("b"), Some(1)), (Some("a"), Some(2))]);
    assert_eq!(attempts[0]["body_sha256"], attempts[2]["body_sha256"]);
}

#[tokio::test]
async fn what_is_no_ledger_or_in_use_is_refused() {
    let folder = TempDir::new("refused").unwrap();
    let start = |ledger: &std::path::Path, more: &[&str]| {
        let launch = Launch::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(["gateway-sim", "--listen", "127.0.0.1:0", "--ledger"])
            .arg(ledger)
            .args(more);
        let process = launch.start().unwrap();
        (process.wait(LIMIT).unwrap().code(), process.log())
    };
    let other = folder.join("other.csv");
    std::fs::write(&other, "key,amount\na,1\n").unwrap();
    let (code, log) = start(&other, &[]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("other.csv") && log.contains("line 1"), "{log}");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "key,amount\na,1\n");

    let ledger = folder.join("ledger.jsonl");
    let sim = Sim::start(&ledger, &[]);
    let (code, log) = start(&ledger, &[]);
    assert!(code == Some(1) && log.contains("another simulator"), "{code:?} {log}");
    assert!(sim.process.is_running());

    let faults = folder.join("bad.toml");
    std::fs::write(&faults, "[[fault]]\nkind = 'slow'\nrate = 2").unwrap();
    let (code, log) = start(&folder.join("new.jsonl"), &["--faults", faults.to_str().unwrap()]);
    assert!(code == Some(78) && log.contains("rate"), "{code:?} {log}");
}

#[test]
fn the_help_teaches() {
    let help =
        Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(["gateway-sim", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for word in [
        "timeout-after",
        "late-charge",
        "--key-ttl",
        "Idempotent-Replayed",
        "pm_decline",
        "[[fault]]",
    ] {
        assert!(help.contains(word), "{word}");
    }
}
