//! Every fault of the simulator, read by the room and the profile, and what the ledger says about it afterwards.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::world::*;

/// A verdict in one word.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Approved { .. } => "approved",
        Verdict::Declined { .. } => "declined",
        Verdict::Unconfirmed { .. } => "unconfirmed",
        Verdict::NeedsLookup { .. } => "needs lookup",
        Verdict::DuplicateCode { .. } => "duplicate",
        Verdict::Unknown { .. } => "unknown",
        Verdict::NotSent { .. } => "not sent",
        Verdict::NotTaken { .. } => "not taken",
        Verdict::StillRunning { .. } => "running",
        Verdict::Mismatch { .. } => "mismatch",
        Verdict::NeverSeen => "never seen",
    }
}

/// A fault on the first attempt: what the first attempt, a lookup and the second attempt come to, and the charges in
/// the ledger before and after the second attempt.
struct Row {
    fault: &'static str,
    first: &'static str,
    lookup: &'static str,
    charged: usize,
    second: &'static str,
}

const fn row(
    fault: &'static str,
    first: &'static str,
    lookup: &'static str,
    charged: usize,
    second: &'static str,
) -> Row {
    Row { fault, first, lookup, charged, second }
}

const ROWS: [Row; 18] = [
    row("kind = 'timeout-before'", "unknown", "never seen", 0, "approved"),
    row("kind = 'timeout-after'", "unknown", "approved", 1, "approved"),
    row("kind = 'late-charge'\ndelay = '1h'", "unknown", "running", 0, "running"),
    row("kind = 'late-arrival'\ndelay = '1h'", "unknown", "never seen", 0, "approved"),
    row("kind = 'error-before'", "unknown", "never seen", 0, "approved"),
    row("kind = 'error-after'\nstatus = 502", "unknown", "approved", 1, "approved"),
    row("kind = 'throttle'", "not taken", "never seen", 0, "approved"),
    row("kind = 'cut-before'", "unknown", "never seen", 0, "approved"),
    row("kind = 'cut-after'", "unknown", "approved", 1, "approved"),
    row("kind = 'cut-midway'", "unknown", "approved", 1, "approved"),
    row("kind = 'garbage'", "unknown", "approved", 1, "approved"),
    row("kind = 'wrong-id'", "unknown", "approved", 1, "approved"),
    row("kind = 'wrong-amount'", "mismatch", "approved", 1, "approved"),
    row("kind = 'duplicate-code'", "duplicate", "approved", 1, "approved"),
    row("kind = 'html'", "unknown", "never seen", 0, "approved"),
    row("kind = 'slow'\ndelay = '20ms'", "approved", "approved", 1, "approved"),
    row("kind = 'decline'", "declined", "declined", 0, "declined"),
    row("kind = 'decline-ahead'", "declined", "never seen", 0, "approved"),
];

#[tokio::test]
async fn every_fault_is_read_rightly_and_leaves_at_most_one_charge() {
    let folder = TempDir::new("faults").unwrap();
    let mut script = String::new();
    for (at, row) in ROWS.iter().enumerate() {
        script += &format!("[[fault]]\n{}\nmatch = ['tx-{at:02}']\n", row.fault);
    }
    let sim = Sim::with_faults(&folder, &script);
    let ledger = folder.join("ledger.jsonl");
    let rows = ROWS.iter().enumerate().map(|(at, row)| row.check(at, &sim.url, &ledger));
    join_all(rows).await;
}

impl Row {
    async fn check(&self, at: usize, url: &str, ledger: &Path) {
        let (id, fault) = (format!("tx-{at:02}"), self.fault);
        let silent = fault.contains("timeout") || fault.contains("late");
        let (gateway, hasty) = (client(url), hasty(url));
        let charge = charge(&id);
        let first = if silent { &hasty } else { &gateway }.charge(&charge).await;
        let said = verdict(FIRST, &id, &first);
        assert_eq!(word(&said), self.first, "{fault}: {first:?}");
        attempted(ledger, &id, 1).await;
        let looked_up = decided(&gateway, &id, self.lookup != "running").await;
        assert_eq!(looked_up, self.lookup, "{fault}");
        assert_eq!(charges(ledger, &id), self.charged, "{fault}");
        let second = gateway.charge(&charge).await;
        let said = verdict(LATER, &id, &second);
        assert_eq!(word(&said), self.second, "{fault}: {second:?}");
        let charged_at_last = usize::from(self.second == "approved");
        assert_eq!(charges(ledger, &id), charged_at_last, "{fault}");
    }
}

/// What a lookup says in a word: where wanted, once the decision that the simulator keeps silent about has reached
/// the ledger and counts.
async fn decided(gateway: &HttpGateway, id: &str, wait: bool) -> &'static str {
    let start = Instant::now();
    loop {
        let looked_up = gateway.lookup(&charge(id).id).await;
        let said = word(&verdict(Asked::Lookup, id, &looked_up));
        if said != "running" || !wait || start.elapsed() > LIMIT {
            return said;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn late_charges_happen_though_nobody_waits() {
    let folder = TempDir::new("late").unwrap();
    let script = "[[fault]]\nkind = 'late-charge'\ndelay = '5s'\nmatch = ['a']\n\
                  [[fault]]\nkind = 'late-arrival'\ndelay = '5s'\nmatch = ['b']";
    let sim = Sim::with_faults(&folder, script);
    let ledger = folder.join("ledger.jsonl");
    let (hasty, gateway) = (hasty(&sim.url), client(&sim.url));
    join_all(["a1", "b1"].map(async |id| {
        assert_lost(&hasty.charge(&charge(id)).await);
        until("the late charge", || charges(&ledger, id) == 1).await;
        // Its line is seen before it is synced, and only then does it count.
        assert_eq!(decided(&gateway, id, true).await, "approved");
        let again = response(gateway.charge(&charge(id)).await);
        assert!(again.replayed, "{again:?}");
        assert_eq!(charges(&ledger, id), 1);
    }))
    .await;
}

#[tokio::test]
async fn an_unkept_decline_is_decided_anew_and_a_forgotten_key_charges_twice() {
    let folder = TempDir::new("unkept").unwrap();
    let script = "[[fault]]\nkind = 'decline-unkept'\nmatch = ['a']\n\
                  [[fault]]\nkind = 'forget-key'\nmatch = ['b']\nattempts = [2]";
    let sim = Sim::with_faults(&folder, script);
    let ledger = folder.join("ledger.jsonl");
    let gateway = client(&sim.url);
    let declined = verdict(LATER, "a1", &gateway.charge(&charge("a1")).await);
    assert_eq!(declined, Verdict::NeedsLookup { code: "limit_exceeded".into() });
    approved(&gateway, "a1").await;
    assert_eq!(charges(&ledger, "a1"), 1);
    for expected in 1..=2 {
        approved(&gateway, "b1").await;
        assert_eq!(charges(&ledger, "b1"), expected);
    }
}

#[tokio::test]
async fn lookups_can_fail_too() {
    let folder = TempDir::new("lookups").unwrap();
    let script = "[[fault]]\nkind = 'error-before'\non = 'lookup'\nstatus = 503\nattempts = [1]\n\
                  [[fault]]\nkind = 'timeout-before'\non = 'lookup'\nattempts = [2]";
    let sim = Sim::with_faults(&folder, script);
    let gateway = client(&sim.url);
    approved(&gateway, "a").await;
    let id = charge("a").id;
    assert_eq!(response(gateway.lookup(&id).await).status, 503);
    assert_lost(&hasty(&sim.url).lookup(&id).await);
    let third = verdict(Asked::Lookup, "a", &gateway.lookup(&id).await);
    assert_eq!(word(&third), "approved");
}

#[tokio::test]
async fn the_generic_rules_over_the_wire() {
    let folder = TempDir::new("rules").unwrap();
    let slow = "[[fault]]\nkind = 'slow'\ndelay = '3s'\nmatch = ['tx:1']\nattempts = [1]";
    let sim = Sim::with_faults(&folder, slow);
    let gateway = client(&sim.url);
    let first = charge("tx:1.a_b-c");
    assert_eq!(
        word(&verdict(Asked::Lookup, "tx:1.a_b-c", &gateway.lookup(&first.id).await)),
        "never seen"
    );
    let ledger = folder.join("ledger.jsonl");
    let (one, other) = tokio::join!(gateway.charge(&first), async {
        attempted(&ledger, "tx:1.a_b-c", 1).await;
        gateway.charge(&first).await
    });
    let words = [&one, &other].map(|answer| word(&verdict(LATER, "tx:1.a_b-c", answer)));
    assert_eq!(words, ["approved", "running"]);
    let replay = response(gateway.charge(&first).await);
    assert!(replay.replayed);
    assert_eq!(replay.body, response(one).body);
    let looked_up = gateway.lookup(&first.id).await;
    assert_eq!(word(&verdict(Asked::Lookup, "tx:1.a_b-c", &looked_up)), "approved");

    let other_body = Charge { body: charge("tx-2").body, ..first.clone() };
    let reused = gateway.charge(&other_body).await;
    assert_eq!(response(reused.clone()).status, 422);
    assert_eq!(word(&verdict(LATER, "tx:1.a_b-c", &reused)), "mismatch");
    let invalid = Charge { body: "{}".into(), ..charge("tx-3") };
    assert_eq!(word(&verdict(FIRST, "tx-3", &gateway.charge(&invalid).await)), "not taken");

    let poor = Transaction { payment_method: "pm_declined".into(), ..transaction("tx-4") };
    for (asked, expected) in [(FIRST, "declined"), (LATER, "declined")] {
        let answer = gateway.charge(&charge_of(&poor)).await;
        assert_eq!(
            word(&verdict(asked, "tx-4", &answer)),
            expected,
            "the second is a marked replay"
        );
    }
}

#[tokio::test]
async fn retry_after_arrives() {
    let folder = TempDir::new("throttle").unwrap();
    let sim = Sim::with_faults(&folder, "[[fault]]\nkind = 'throttle'\nretry_after = '7s'");
    let answer = response(client(&sim.url).charge(&charge("a")).await);
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn keys_run_out() {
    let folder = TempDir::new("ttl").unwrap();
    let ledger = folder.join("ledger.jsonl");
    let sim = Sim::start(&ledger, &["--key-ttl", "300ms"]);
    let gateway = client(&sim.url);
    approved(&gateway, "a").await;
    sleep(Duration::from_millis(400)).await;
    let again = response(gateway.charge(&charge("a")).await);
    assert!(!again.replayed);
    assert_eq!(charges(&ledger, "a"), 2);
}
