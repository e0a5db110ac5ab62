//! Every way in which events of one id can meet each other and a row.

use super::*;
use crate::domain::id::{Offset, Partition, TransactionId};
use crate::domain::money::{Amount, Currency};
use crate::domain::outcome::NOT_CHARGED;
use crate::domain::transaction::PayloadHash;

fn place(offset: i64) -> Place {
    Place { topic: "t".into(), partition: Partition(0), offset: Offset(offset) }
}

fn row(fate: Fate, offset: i64) -> Outcome {
    let (source, payload_hash) = (place(offset), PayloadHash([1; 32]));
    let is_charged = fate == Fate::Archived;
    Outcome {
        event_id: EventId::of(&source, &payload_hash),
        fate,
        transaction_id: TransactionId::parse("t-1").unwrap(),
        account_id: "acc".into(),
        amount: Amount::new(5).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        gateway_id: is_charged.then(|| format!("ch_{offset}")),
        code: (!is_charged).then(|| "some_code".into()),
        attempts: 1,
        source,
        payload_hash,
        created_at: Wall(1),
        admitted_at: Wall(offset + 2),
        decided_at: Some(Wall(offset + 3)),
        stored_at: Some(Wall(offset + 4)),
    }
}

fn letter(offset: i64) -> Doubt {
    let row = row(Fate::InDoubt, offset);
    Doubt {
        id: row.transaction_id,
        place: row.source,
        event_id: row.event_id,
        code: "some_code".into(),
        attempts: 1,
        payload_hash: row.payload_hash,
        gateway_id: None,
        at: Wall(offset + 9),
        content: Some(Content {
            account_id: row.account_id,
            amount: row.amount,
            currency: row.currency,
            created_at: row.created_at,
        }),
    }
}

/// The row after a person's word at `at`.
fn resolved(offset: i64, charged: bool, at: i64) -> Outcome {
    let finding = match charged {
        true => Finding::Charged { gateway_id: format!("ch_{offset}") },
        false => Finding::NotCharged,
    };
    let doubt = row(Fate::InDoubt, offset);
    let (id, by) = (doubt.transaction_id.clone(), "ada".into());
    Resolution { id, finding, by, at: Wall(at) }.decide(Some(&doubt), None).unwrap().after
}

/// The event of such a row, and the id that it names.
fn event_of(after: &Outcome) -> (Outcome, EventId) {
    let fate = if after.fate == Fate::Archived { Fate::Archived } else { Fate::Declined };
    let event_id = EventId::of_resolution(&after.source, &after.payload_hash);
    (Outcome { event_id, fate, ..after.clone() }, after.event_id)
}

#[derive(Clone)]
enum Told {
    Row(Fate, i64),
    Doubt(i64),
    Resolved(i64, bool, i64),
}

use Fate::{Archived, Declined};
use Told::{Doubt as Open, Resolved as Ended, Row};

fn history(told: &[Told]) -> History {
    let mut history = History::default();
    for told in told {
        match told {
            Row(fate, offset) => history.outcome(Box::new(row(*fate, *offset))),
            Open(offset) => history.doubt(letter(*offset)),
            Ended(offset, charged, at) => {
                let (event, resolves) = event_of(&resolved(*offset, *charged, *at));
                history.resolution(event, resolves);
            }
        }
    }
    history
}

/// What is made of the row, step by step as a store would; the verdict that ended it.
fn brought(told: &[Told], standing: Option<Outcome>) -> (Option<Outcome>, Verdict) {
    let history = history(told);
    let mut standing = standing;
    let verdict = history.judge(standing.as_ref(), |_| false);
    let Verdict::Lacks(steps) = &verdict else { return (standing, verdict) };
    for step in steps {
        standing = Some(match (step, &standing) {
            (Step::Store(row), Some(old)) => {
                assert!(row.supersedes(old), "the store keeps {old:?}");
                (**row).clone()
            }
            (Step::Store(row), None) => (**row).clone(),
            (Step::Resolve(word), standing) => word.decide(standing.as_ref(), None).unwrap().after,
        });
    }
    assert_eq!(history.judge(standing.as_ref(), |_| false), Verdict::Stands, "once is enough");
    (standing, verdict)
}

#[test]
fn a_row_that_is_missing_is_made() {
    for told in [Row(Archived, 1), Row(Declined, 1)] {
        let Row(fate, _) = told else { unreachable!() };
        assert_eq!(brought(&[told], None).0, Some(row(fate, 1)));
    }
    // Its times are those of the letter.
    let made = brought(&[Open(1)], None).0.unwrap();
    assert_eq!((made.fate, made.admitted_at), (Fate::InDoubt, Wall(10)));
    for charged in [true, false] {
        let after = resolved(1, charged, 50);
        for told in [vec![Open(1), Ended(1, charged, 50)], vec![Ended(1, charged, 50)]] {
            // First the doubt, which nobody charges, then the word: cut short in between, nothing is lost.
            let (made, verdict) = brought(&told, None);
            assert_eq!(made, Some(after.clone()));
            let Verdict::Lacks(steps) = verdict else { panic!("{verdict:?}") };
            assert!(matches!(&steps[..], [Step::Store(row), Step::Resolve(_)]
                if row.fate == Fate::InDoubt && !row.is_resolved_not_charged()));
        }
    }
}

#[test]
fn the_last_word_stands_whatever_the_order_of_the_topics() {
    let cases: [(&[Told], Outcome); 7] = [
        (&[Row(Declined, 1), Row(Archived, 2)], row(Archived, 2)),
        (&[Open(1), Row(Archived, 2)], row(Archived, 2)),
        (&[Open(1), Ended(1, false, 50), Row(Archived, 2)], row(Archived, 2)),
        (&[Open(1), Ended(1, false, 50), Row(Declined, 2)], row(Declined, 2)),
        (&[Open(1), Ended(1, false, 50), Open(2), Ended(2, false, 60)], resolved(2, false, 60)),
        (&[Open(2), Ended(2, false, 50), Open(1), Ended(1, true, 60)], resolved(1, true, 60)),
        (&[Open(1), Ended(1, false, 50), Ended(1, false, 50)], resolved(1, false, 50)),
    ];
    for (told, expected) in cases {
        for turn in 0..told.len() {
            let mut told = told.to_vec();
            told.rotate_left(turn);
            assert_eq!(brought(&told, None).0.as_ref(), Some(&expected));
            told.reverse();
            assert_eq!(brought(&told, None).0.as_ref(), Some(&expected));
        }
    }
    // A doubt after one that was resolved as not charged.
    let made = brought(&[Open(1), Ended(1, false, 50), Open(2)], None).0.unwrap();
    assert_eq!((made.source, made.fate), (place(2), Fate::InDoubt));
}

#[test]
fn an_older_row_is_brought_up_to_the_events() {
    let doubt = || row(Fate::InDoubt, 1);
    let cases: [(&[Told], Outcome, Outcome); 6] = [
        (&[Open(1), Ended(1, true, 50)], doubt(), resolved(1, true, 50)),
        (&[Open(1), Ended(1, false, 50)], doubt(), resolved(1, false, 50)),
        (&[Row(Declined, 1), Row(Archived, 2)], row(Declined, 1), row(Archived, 2)),
        (&[Open(1), Row(Archived, 2)], doubt(), row(Archived, 2)),
        (&[Open(1), Ended(1, false, 50), Row(Declined, 2)], doubt(), row(Declined, 2)),
        (
            &[Open(1), Ended(1, false, 50), Open(2), Ended(2, true, 60)],
            resolved(1, false, 50),
            resolved(2, true, 60),
        ),
    ];
    for (told, before, expected) in cases {
        assert_eq!(brought(told, Some(before)).0, Some(expected));
    }
}

#[test]
fn a_row_that_says_what_its_events_say_is_left() {
    let cases: [(&[Told], Outcome); 4] = [
        (&[Row(Archived, 1)], row(Archived, 1)),
        (&[Row(Declined, 1), Row(Archived, 2)], row(Archived, 2)),
        // Its own times, not those of the letter.
        (&[Open(1)], row(Fate::InDoubt, 1)),
        (&[Open(1), Ended(1, false, 50)], resolved(1, false, 50)),
    ];
    for (told, row) in cases {
        assert_eq!(history(told).judge(Some(&row), |_| false), Verdict::Stands);
    }
}

#[test]
fn a_row_that_says_something_else_is_named_and_left() {
    let cases: [(&[Told], Outcome, &str); 6] = [
        (
            &[Row(Archived, 1)],
            Outcome { account_id: "other".into(), ..row(Archived, 1) },
            "its row (archived) says something else than its events",
        ),
        (
            &[Row(Archived, 1)],
            row(Archived, 2),
            "its row is archived at t/0/2, its events make it archived at t/0/1",
        ),
        (
            &[Row(Declined, 1)],
            row(Archived, 2),
            "its row is archived at t/0/2, its events make it declined at t/0/1",
        ),
        (
            &[Open(1)],
            resolved(1, false, 50),
            "its row (in_doubt) says something else than its events; no event tells of its resolution: run the \
             same resolve again",
        ),
        (
            &[Open(1), Ended(1, true, 50)],
            resolved(1, false, 50),
            "its row (in_doubt) says something else than its events",
        ),
        (
            &[Row(Declined, 1), Row(Archived, 2)],
            Outcome { attempts: 7, ..row(Declined, 1) },
            "its row is declined at t/0/1, its events make it archived at t/0/2",
        ),
    ];
    for (told, row, why) in cases {
        let verdict = history(told).judge(Some(&row), |_| false);
        assert_eq!(verdict, Verdict::OtherRow(why.to_owned()));
    }
}

#[test]
fn events_that_no_store_can_have_led_to_are_named() {
    let cases: [(&[Told], &str); 6] = [
        (
            &[Row(Archived, 1), Row(Archived, 2)],
            "archived at t/0/1 and archived at t/0/2: no store keeps both",
        ),
        (
            &[Row(Archived, 2), Open(1), Ended(1, true, 50)],
            "archived at t/0/2 and resolved as charged at t/0/1: no store keeps both",
        ),
        (
            &[Row(Declined, 1), Open(2)],
            "declined at t/0/1 and in_doubt at t/0/2: no store keeps both",
        ),
        (&[Row(Archived, 1), Row(Declined, 1)], "t/0/1 is reported as archived and as declined"),
        (&[Row(Archived, 1), Open(1)], "t/0/1 is reported as archived and as in_doubt"),
        (&[Open(1), Ended(1, true, 50), Ended(1, false, 60)], "t/0/1 was resolved in two ways"),
    ];
    for (told, why) in cases {
        for standing in [None, Some(row(Archived, 1))] {
            let verdict = history(told).judge(standing.as_ref(), |_| false);
            assert_eq!(verdict, Verdict::OtherEvents(why.to_owned()));
        }
    }
    // The same event twice contradicts nothing.
    assert_eq!(brought(&[Row(Archived, 1), Row(Archived, 1)], None).0, Some(row(Archived, 1)));
}

#[test]
fn what_is_ahead_of_the_events_is_left_alone() {
    let newer = row(Archived, 9);
    let is_ahead = |at: &Place| at.offset >= Offset(9);
    let told = [Open(1), Ended(1, false, 50)];
    assert_eq!(history(&told).judge(Some(&newer), is_ahead), Verdict::Ahead);
}

#[test]
fn a_letter_that_was_cut_wants_its_record() {
    let cut = || Doubt { content: None, ..letter(1) };
    let mut history = History::default();
    history.doubt(cut());
    assert_eq!(history.judge(None, |_| false), Verdict::NeedsRecord(place(1)));
    assert_eq!(history.judge(Some(&row(Fate::InDoubt, 1)), |_| false), Verdict::Stands);
    history.fill(&place(1), letter(1).content.unwrap());
    assert!(matches!(history.judge(None, |_| false), Verdict::Lacks(_)));
    // A resolution tells all of it.
    let mut history = History::default();
    history.doubt(cut());
    let (event, resolves) = event_of(&resolved(1, true, 50));
    history.resolution(event, resolves);
    assert!(matches!(history.judge(None, |_| false), Verdict::Lacks(_)));
}

#[test]
fn who_resolved_it_is_told_as_ours() {
    let told = history(&[Open(1), Ended(1, false, 50)]);
    let Verdict::Lacks(steps) = told.judge(None, |_| false) else { panic!() };
    let Some(Step::Resolve(word)) = steps.last() else { panic!() };
    assert!(word.by.starts_with("tollbridge rebuild, from event "), "{}", word.by);
    assert_eq!((word.at, &word.finding), (Wall(50), &Finding::NotCharged));
    assert_eq!(resolved(1, false, 50).code.as_deref(), Some(NOT_CHARGED));
}
