//! The gateway's promises, and each way of breaking them, read back through the profile.

use bytes::Bytes;

use super::*;
use crate::domain::answer::Answer;
use crate::domain::classify::{Asked, Expected, Verdict};
use crate::domain::money::{Amount, Currency};
use crate::domain::transaction::Transaction;
use crate::wire::gateway::Profile;

const TTL: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_micros(1);
const NOW: Wall = Wall(1_000_000_000);

fn transaction(id: &str, method: &str) -> Transaction {
    Transaction {
        id: TransactionId::parse(id).unwrap(),
        account_id: "acc".into(),
        amount: Amount::new(100).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: method.into(),
        created_at: NOW,
        description: None,
        metadata: [].into(),
    }
}

fn charge_of(tx: &Transaction) -> Charge {
    Charge { id: tx.id.clone(), body: Profile::generic().charge_body(tx) }
}

fn charge(id: &str) -> Charge {
    charge_of(&transaction(id, "pm_1"))
}

fn answered(applied: Applied) -> Response {
    match applied {
        Applied::Answered(response) => response,
        Applied::Late(ticket) => panic!("late: {ticket:?}"),
    }
}

fn verdict(asked: Asked, id: &str, response: Response) -> Verdict {
    let tx = transaction(id, "pm_1");
    Profile::generic().verdict(asked, &Expected::from(&tx), &Answer::Response(response))
}

fn later(id: &str, response: Response) -> Verdict {
    verdict(Asked::Charge { first: false }, id, response)
}

fn charges(gateway: &MemoryGateway) -> usize {
    gateway.ledger().iter().filter(|entry| entry.declined.is_none()).count()
}

#[test]
fn a_key_replays_its_decision_until_it_runs_out() {
    let mut gateway = MemoryGateway::new(TTL);
    let first = answered(gateway.apply(NOW, &charge("a"), &Whim::Honest));
    assert!(!first.replayed);
    assert_eq!(
        later("a", first.clone()),
        Verdict::Approved { gateway_id: "ch_000000000001".into() }
    );
    let again = answered(gateway.apply(NOW + TTL - TICK, &charge("a"), &Whim::Honest));
    assert_eq!(again, Response { replayed: true, ..first });
    assert_eq!(charges(&gateway), 1);
    let too_late = answered(gateway.apply(NOW + TTL, &charge("a"), &Whim::Honest));
    assert!(!too_late.replayed);
    assert_eq!(charges(&gateway), 2);
    assert_eq!(gateway.seen().iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn another_body_under_the_same_key_is_refused() {
    let mut gateway = MemoryGateway::new(TTL);
    answered(gateway.apply(NOW, &charge("a"), &Whim::Honest));
    let other =
        Charge { body: Profile::generic().charge_body(&transaction("a", "pm_2")), ..charge("a") };
    let reply = answered(gateway.apply(NOW, &other, &Whim::Honest));
    assert!(matches!(later("a", reply), Verdict::Mismatch { .. }));
    let broken = Charge { body: Bytes::from_static(b"{}"), ..charge("b") };
    let reply = answered(gateway.apply(NOW, &broken, &Whim::Honest));
    assert!(matches!(later("b", reply), Verdict::NotTaken { .. }));
    assert_eq!(gateway.ledger().len(), 1);
}

#[test]
fn the_payment_method_can_ask_to_be_declined() {
    let mut gateway = MemoryGateway::new(TTL);
    let poor = charge_of(&transaction("a", "pm_declined_7"));
    for replayed in [false, true] {
        let reply = answered(gateway.apply(NOW, &poor, &Whim::Honest));
        assert_eq!(reply.replayed, replayed);
        let first = verdict(Asked::Charge { first: true }, "a", reply);
        let code = book::DECLINED_CODE.to_owned();
        assert_eq!(first, Verdict::Declined { code, gateway_id: Some("ch_000000000001".into()) });
    }
    assert_eq!(charges(&gateway), 0);
    assert!(matches!(lookup(&gateway, "a"), Verdict::Declined { .. }));
}

fn lookup(gateway: &MemoryGateway, id: &str) -> Verdict {
    verdict(Asked::Lookup, id, gateway.lookup(&TransactionId::parse(id).unwrap()))
}

#[test]
fn a_late_charge_is_running_until_it_is_done() {
    let mut gateway = MemoryGateway::new(TTL);
    assert_eq!(lookup(&gateway, "a"), Verdict::NeverSeen);
    let Applied::Late(ticket) = gateway.apply(NOW, &charge("a"), &Whim::Late) else {
        panic!("answered at once");
    };
    let busy = answered(gateway.apply(NOW, &charge("a"), &Whim::Honest));
    assert_eq!(later("a", busy), Verdict::StillRunning { retry_after: None });
    assert_eq!(lookup(&gateway, "a"), Verdict::StillRunning { retry_after: None });
    assert_eq!(charges(&gateway), 0);
    gateway.complete(NOW, ticket);
    assert!(answered(gateway.apply(NOW, &charge("a"), &Whim::Honest)).replayed);
    assert!(matches!(lookup(&gateway, "a"), Verdict::Approved { .. }));
    assert_eq!(charges(&gateway), 1);
}

#[test]
fn answers_that_lie_about_a_charge_leave_it_charged_once() {
    for whim in [
        Whim::ErrorAfter { status: 500 },
        Whim::DuplicateCode,
        Whim::WrongId,
        Whim::WrongAmount,
        Whim::Garbage,
    ] {
        let mut gateway = MemoryGateway::new(TTL);
        let reply = answered(gateway.apply(NOW, &charge("a"), &whim));
        let said = verdict(Asked::Charge { first: true }, "a", reply);
        let expected = match whim {
            Whim::DuplicateCode => {
                matches!(&said, Verdict::DuplicateCode { code } if code == "duplicate_transaction")
            }
            Whim::WrongAmount => matches!(said, Verdict::Mismatch { .. }),
            _ => matches!(said, Verdict::Unknown { .. }),
        };
        assert!(expected, "{whim:?} gave {said:?}");
        assert!(matches!(lookup(&gateway, "a"), Verdict::Approved { .. }), "{whim:?}");
        let again = answered(gateway.apply(NOW, &charge("a"), &Whim::Honest));
        assert!(matches!(later("a", again), Verdict::Approved { .. }), "{whim:?}");
        assert_eq!(charges(&gateway), 1, "{whim:?}");
    }
}

#[test]
fn what_was_not_taken_is_not_charged() {
    let retry_after = Duration::from_secs(3);
    for whim in [Whim::RefuseUntaken { status: 500 }, Whim::Throttle { retry_after }, Whim::Html] {
        let mut gateway = MemoryGateway::new(TTL);
        let said = later("a", answered(gateway.apply(NOW, &charge("a"), &whim)));
        match said {
            Verdict::NotTaken { retry_after: after, .. } => assert_eq!(after, Some(retry_after)),
            Verdict::Unknown { .. } => assert!(!matches!(whim, Whim::Throttle { .. })),
            other => panic!("{whim:?} gave {other:?}"),
        }
        assert_eq!(lookup(&gateway, "a"), Verdict::NeverSeen);
        assert_eq!((gateway.ledger().len(), gateway.seen().len()), (0, 1));
    }
}

#[test]
fn an_unkept_decline_is_decided_anew() {
    let mut gateway = MemoryGateway::new(TTL);
    let whim = Whim::DeclineUnkept { code: "limit" };
    let reply = answered(gateway.apply(NOW, &charge("a"), &whim));
    assert_eq!(later("a", reply), Verdict::NeedsLookup { code: "limit".into() });
    let reply = answered(gateway.apply(NOW, &charge("a"), &Whim::Honest));
    assert!(!reply.replayed);
    assert!(matches!(later("a", reply), Verdict::Approved { .. }));
    // A later decline does not hide the charge.
    gateway.book.forget("a");
    answered(gateway.apply(NOW, &charge("a"), &Whim::Decline { code: "limit" }));
    assert!(matches!(lookup(&gateway, "a"), Verdict::Approved { .. }));
}

#[test]
fn a_forgotten_key_charges_twice_and_the_ledger_shows_it() {
    let mut gateway = MemoryGateway::new(TTL);
    answered(gateway.apply(NOW, &charge("a"), &Whim::Honest));
    answered(gateway.apply(NOW, &charge("a"), &Whim::ForgetKey));
    assert_eq!(charges(&gateway), 2);
    assert_eq!(gateway.ledger()[0].body_sha256, gateway.ledger()[1].body_sha256);
}
