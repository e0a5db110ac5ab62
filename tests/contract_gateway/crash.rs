//! The simulator killed under load: what it answered is in its ledger, and is replayed by the next one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::world::*;

const CLIENTS: usize = 32;
const KILLS: usize = 4;
const CALLS: u32 = 30;

/// Charges one new id after the other until the simulator is gone; returns what was approved.
async fn load(url: String, round: usize, approved: Arc<Mutex<BTreeMap<String, String>>>) {
    let gateway = Arc::new(client(&url));
    let clients = (0..CLIENTS).map(|client| {
        let (gateway, approved) = (Arc::clone(&gateway), Arc::clone(&approved));
        tokio::spawn(async move {
            for n in 0.. {
                let id = format!("r{round}-c{client}-{n}");
                let answer = gateway.charge(&charge(&id)).await;
                match verdict(FIRST, &id, &answer) {
                    Verdict::Approved { gateway_id } => {
                        approved.lock().unwrap().insert(id, gateway_id);
                    }
                    Verdict::Unknown { .. } | Verdict::NotSent { .. } => return,
                    other => panic!("{id}: {other:?}"),
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn no_answered_charge_is_lost_by_kill_9() {
    let folder = TempDir::new("crash").unwrap();
    let ledger = folder.join("ledger.jsonl");
    let approved = Arc::new(Mutex::new(BTreeMap::new()));
    for round in 0..KILLS {
        let sim = Sim::start(&ledger, &[]);
        let before = approved.lock().unwrap().len();
        let load = tokio::spawn(load(sim.url.clone(), round, Arc::clone(&approved)));
        until("load enough to mean something", || {
            approved.lock().unwrap().len() > before + 10 * CLIENTS
        })
        .await;
        sim.process.kill();
        load.await.unwrap();
    }
    let sim = Sim::start(&ledger, &[]);
    let gateway = client(&sim.url);
    let approved = approved.lock().unwrap().clone();
    let lines = std::fs::read_to_string(&ledger).unwrap();
    let mut charged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        charged.entry(text("transaction_id")).or_default().push(text("id"));
    }
    assert!(charged.values().all(|ids| ids.len() == 1), "an id was charged twice");
    for (id, gateway_id) in &approved {
        assert_eq!(charged[id], std::slice::from_ref(gateway_id), "{id}");
    }
    // A sample over all rounds: asking each again would only take longer.
    for (id, gateway_id) in approved.iter().step_by(approved.len() / 200 + 1) {
        let answer = gateway.charge(&charge(id)).await;
        assert!(matches!(&answer, Answer::Response(response) if response.replayed), "{answer:?}");
        let expected = Verdict::Approved { gateway_id: gateway_id.clone() };
        assert_eq!(verdict(LATER, id, &answer), expected);
    }
}

#[tokio::test]
async fn a_frozen_gateway_costs_each_call_its_deadline_and_no_more() {
    let folder = TempDir::new("frozen").unwrap();
    let sim = Sim::start(&folder.join("ledger.jsonl"), &[]);
    let gateway = hasty(&sim.url);
    approved_at_last(&gateway).await;
    sim.process.pause().unwrap();
    let start = tokio::time::Instant::now();
    let calls = (0..CALLS).map(|n| {
        let gateway = &gateway;
        async move { gateway.charge(&charge(&format!("f{n}"))).await }
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_lost(&answer);
    }
    let took = start.elapsed();
    assert!(took >= HASTE && took < HASTE * CALLS / 2, "{took:?}: one waited for the other");
    sim.process.resume().unwrap();
    approved_at_last(&gateway).await;
}

async fn approved_at_last(gateway: &HttpGateway) {
    for n in 0..8 {
        let (id, start) = (format!("f{n}"), tokio::time::Instant::now());
        while !matches!(
            verdict(LATER, &id, &gateway.charge(&charge(&id)).await),
            Verdict::Approved { .. }
        ) {
            assert!(start.elapsed() < LIMIT, "{id} is never approved");
        }
    }
}
