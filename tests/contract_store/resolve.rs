//! A person's finding about an `in_doubt`: written once, to the row and to the audit.

use tollbridge::domain::id::TransactionId;
use tollbridge::domain::outcome::{Fate, NOT_CHARGED, Outcome};
use tollbridge::domain::resolution::{Finding, Refusal, Resolution, Resolved};
use tollbridge::domain::time::Wall;
use tollbridge::ports::store::{ResolveError, Rows, Stored};

use crate::outcomes::{TOPIC, batch, id, outcome, with};
use crate::subject::{Subject, all};

fn resolution(id: TransactionId, finding: Finding, at: i64) -> Resolution {
    Resolution { id, finding, by: "ada".into(), at: Wall(at) }
}

fn charged() -> Finding {
    Finding::Charged { gateway_id: "ch_found".into() }
}

async fn doubt(subject: &Subject) -> Outcome {
    let doubt = with(Fate::InDoubt, Some("key_expired"), outcome("doubt", 0, 1));
    subject.store(&batch([doubt.clone()])).await.unwrap();
    doubt
}

async fn row(subject: &Subject, name: &str) -> Outcome {
    subject.ask(&[id(name)]).await.unwrap().pop().unwrap()
}

#[tokio::test]
async fn charged_makes_it_archived() {
    for subject in all().await {
        let before = doubt(&subject).await;
        let first = resolution(id("doubt"), charged(), 5);
        let after = Outcome {
            fate: Fate::Archived,
            code: None,
            gateway_id: Some("ch_found".into()),
            decided_at: Some(Wall(5)),
            ..before.clone()
        };
        let resolved = Resolved { before: before.clone(), after: after.clone(), repeated: false };
        assert_eq!(subject.resolve(&first).await.unwrap(), resolved, "{}", subject.name());
        assert_eq!(row(&subject, "doubt").await, after);
        // Cut short between row and event, it is run again, later: the same answer.
        let again = resolution(id("doubt"), charged(), 9);
        let repeated = Resolved { before, after: after.clone(), repeated: true };
        assert_eq!(subject.resolve(&again).await.unwrap(), repeated, "{}", subject.name());
        assert_eq!(row(&subject, "doubt").await, after);
    }
}

/// What is open, and which resolutions have an event that nobody has noted; the store in memory is not asked that.
#[tokio::test]
async fn open_doubts_are_found_and_so_are_resolutions_without_their_event() {
    for subject in all().await {
        let Some(store) = subject.real() else { continue };
        let open = async |wanted: &[&str]| {
            let found = store.page(Rows::OpenDoubts, TOPIC, None).await.unwrap();
            let ids: Vec<&str> = found.iter().map(|row| row.transaction_id.as_str()).collect();
            assert_eq!(ids, wanted, "{}", subject.name());
            assert_eq!(store.count_doubts().await.unwrap(), wanted.len() as u64);
        };
        let untold = async || store.untold("ada", TOPIC).await.unwrap();
        open(&[]).await;
        let other = with(Fate::InDoubt, Some("mismatch"), outcome("other", 0, 2));
        subject.store(&batch([other, outcome("archived", 0, 3)])).await.unwrap();
        doubt(&subject).await;
        open(&["doubt", "other"]).await;
        let after = store.page(Rows::OpenDoubts, TOPIC, Some(&id("doubt"))).await.unwrap();
        assert_eq!(after.len(), 1, "{}", subject.name());
        assert_eq!(store.page(Rows::OpenDoubts, "elsewhere", None).await.unwrap(), []);

        assert_eq!(untold().await, []);
        let first = resolution(id("doubt"), charged(), 5);
        subject.resolve(&first).await.unwrap();
        open(&["other"]).await;
        let second = resolution(id("other"), Finding::NotCharged, 6);
        subject.resolve(&second).await.unwrap();
        open(&[]).await;
        assert_eq!(untold().await, [first.clone(), second.clone()], "{}", subject.name());
        assert_eq!(store.untold("bob", TOPIC).await.unwrap(), []);
        for _ in 0..2 {
            store.note_told(&first).await.unwrap();
        }
        assert_eq!(untold().await, [second], "{}", subject.name());
    }
}

#[tokio::test]
async fn not_charged_opens_the_id_to_another_publication() {
    for subject in all().await {
        let before = doubt(&subject).await;
        let finding = resolution(id("doubt"), Finding::NotCharged, 5);
        let resolved = subject.resolve(&finding).await.unwrap();
        let after =
            Outcome { code: Some(NOT_CHARGED.into()), decided_at: Some(Wall(5)), ..before.clone() };
        assert_eq!(resolved, Resolved { before, after: after.clone(), repeated: false });
        let again = with(Fate::Declined, Some("no_funds"), outcome("doubt", 1, 8));
        let answers = subject.store(&batch([again.clone()])).await.unwrap();
        assert_eq!(answers, [Stored::Replaced(Box::new(after))], "{}", subject.name());
        // The row is another publication's now, and no doubt any more.
        let late = subject.resolve(&finding).await.unwrap_err();
        let ResolveError::Refused(Refusal::NotInDoubt(found)) = late else { panic!("{late}") };
        assert_eq!(*found, again, "{}", subject.name());
    }
}

#[tokio::test]
async fn what_is_no_open_doubt_is_refused_and_named() {
    for subject in all().await {
        let archived = outcome("archived", 0, 1);
        let declined = with(Fate::Declined, Some("no_funds"), outcome("declined", 0, 2));
        subject.store(&batch([archived.clone(), declined.clone()])).await.unwrap();
        for row in [archived, declined] {
            let finding = resolution(row.transaction_id.clone(), charged(), 5);
            let refused = subject.resolve(&finding).await.unwrap_err();
            assert!(refused.to_string().contains(row.fate.as_str()), "{refused}");
            let ResolveError::Refused(Refusal::NotInDoubt(found)) = refused else { panic!() };
            assert_eq!(*found, row);
        }
        let missing = subject.resolve(&resolution(id("none"), charged(), 5)).await;
        assert!(matches!(missing, Err(ResolveError::Refused(Refusal::Missing(_)))));
    }
}

#[tokio::test]
async fn another_finding_than_the_first_is_refused() {
    for subject in all().await {
        doubt(&subject).await;
        subject.resolve(&resolution(id("doubt"), charged(), 5)).await.unwrap();
        let before = row(&subject, "doubt").await;
        let other = Finding::Charged { gateway_id: "ch_other".into() };
        for finding in [Finding::NotCharged, other] {
            let refused = subject.resolve(&resolution(id("doubt"), finding, 6)).await.unwrap_err();
            assert!(
                refused.to_string().contains("ch_found") && refused.to_string().contains("ada")
            );
            assert!(matches!(refused, ResolveError::Refused(Refusal::Otherwise(_))));
        }
        assert_eq!(row(&subject, "doubt").await, before, "{}", subject.name());
    }
}
