//! May a dead letter's record be published again? Everything that the answer needs is passed in. Whether the record
//! is then charged is not decided here: the route asks the store, as for any record.

use std::sync::Arc;

use crate::domain::id::{Place, TransactionId};
use crate::domain::outcome::{Fate, Outcome};
use crate::wire::dead_letter::{BadLetter, Letter};

use super::letter::Standing;

/// A record that was replayed so often comes back for a reason that replaying does not mend.
pub const REPLAYS_MAX: u32 = 3;

/// What is known beside the dead letter itself.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The topic that records would be replayed to.
    pub topic: &'a str,
    /// The row of its transaction.
    pub row: Option<&'a Outcome>,
    /// Where on that topic its record stands again already.
    pub again: Option<&'a str>,
    /// Whoever asks knows better, as far as nothing but work can be lost.
    pub force: bool,
}

/// Why a record is not replayed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no dead letter, or no longer")]
    Gone,
    #[error("it is no dead letter of ours ({0})")]
    Foreign(BadLetter),
    #[error("it came from {0}; use the configuration whose kafka.topics.transactions is that")]
    OtherTopic(Arc<str>),
    #[error(
        "its {0} was cut, so the record can't be made again; have its producer publish it again"
    )]
    Cut(String),
    #[error(
        "{0} has no row in the store, so nobody can tell whether it was charged; is store.url right?"
    )]
    NoRow(TransactionId),
    #[error(
        "{0} is in doubt: it may have been charged. Look it up at the gateway, then run tollbridge \
         resolve; what was not charged may be replayed"
    )]
    InDoubt(TransactionId),
    #[error("{} is {} since (source {}); there is nothing left to do", .0.transaction_id, .0.fate, .0.source)]
    Ended(Box<Outcome>),
    #[error("{0} was in doubt again as {1}; replay that one's dead letter")]
    Superseded(TransactionId, Place),
    #[error("it stands again on the source topic already, as {0}; --force replays it all the same")]
    Again(String),
    #[error("its record was replayed {0} times; see why it comes back, then --force replays it")]
    Loop(u32),
    #[error(
        "its header tollbridge-replays is no number; see what wrote it, then --force replays it"
    )]
    Uncounted,
    #[error(
        "the id stands at {}, and replayed it would be a duplicate again; --force replays it all \
         the same", .0.as_ref().map_or("another place".to_owned(), ToString::to_string)
    )]
    Duplicate(Option<Place>),
}

/// How often its record was replayed before, where it may be replayed.
///
/// # Errors
/// Why it may not. What no force can lift comes first.
pub fn judge(standing: &Standing, known: &Known<'_>) -> Result<u32, Refusal> {
    let letter = standing.told.as_ref().map_err(|why| Refusal::Foreign(why.clone()))?;
    if *letter.place.topic != *known.topic {
        return Err(Refusal::OtherTopic(Arc::clone(&letter.place.topic)));
    }
    if !standing.cut.is_empty() {
        return Err(Refusal::Cut(standing.cut.join(" and ")));
    }
    judge_row(letter, known.row)?;
    // A count that can't be read is taken for one that has run out.
    let replays = standing.replays.unwrap_or(REPLAYS_MAX);
    if known.force {
        return Ok(replays);
    }
    if let Some(place) = known.again {
        return Err(Refusal::Again(place.to_owned()));
    }
    if letter.fate == Fate::Duplicate {
        return Err(Refusal::Duplicate(letter.duplicate_of.clone()));
    }
    match standing.replays {
        None => Err(Refusal::Uncounted),
        Some(replays) if replays >= REPLAYS_MAX => Err(Refusal::Loop(replays)),
        Some(replays) => Ok(replays),
    }
}

/// Whether the row of a transaction is needed to judge its letter.
#[must_use]
pub fn needs_row(standing: &Standing) -> Option<&TransactionId> {
    let letter = standing.told.as_ref().ok()?;
    let may_be_charged = matches!(letter.fate, Fate::InDoubt | Fate::Duplicate);
    letter.transaction_id.as_ref().filter(|_| may_be_charged)
}

/// Only a row keeps an id from being charged again. A rejected record never reached the gateway and has none.
fn judge_row(letter: &Letter, row: Option<&Outcome>) -> Result<(), Refusal> {
    if !matches!(letter.fate, Fate::InDoubt | Fate::Duplicate) {
        return Ok(());
    }
    let lacks_id = || Refusal::Foreign(BadLetter("tollbridge-transaction-id"));
    let id = letter.transaction_id.as_ref().ok_or_else(lacks_id)?;
    let Some(row) = row else { return Err(Refusal::NoRow(id.clone())) };
    match letter.fate {
        Fate::InDoubt if row.fate != Fate::InDoubt => Err(Refusal::Ended(Box::new(row.clone()))),
        Fate::InDoubt if !row.is_resolved_not_charged() => Err(Refusal::InDoubt(id.clone())),
        Fate::InDoubt if row.source != letter.place => {
            Err(Refusal::Superseded(id.clone(), row.source.clone()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::balance::Spot;
    use crate::domain::id::{Offset, Partition};
    use crate::domain::money::{Amount, Currency};
    use crate::domain::outcome::{EventId, NOT_CHARGED};
    use crate::domain::time::Wall;
    use crate::domain::transaction::PayloadHash;

    const TOPIC: &str = "transactions";

    fn place(offset: i64) -> Place {
        Place { topic: TOPIC.into(), partition: Partition(3), offset: Offset(offset) }
    }

    fn standing(fate: Fate) -> Standing {
        let id = (fate != Fate::Rejected).then(|| TransactionId::parse("tx-1").unwrap());
        let letter = Letter {
            place: place(7),
            event_id: EventId([1; 16]),
            fate,
            code: "c".into(),
            transaction_id: id,
            duplicate_of: (fate == Fate::Duplicate).then(|| place(5)),
        };
        Standing {
            spot: Spot { partition: Partition(0), offset: Offset(20) },
            at_ms: None,
            told: Ok(letter),
            replays: Some(0),
            cut: Vec::new(),
        }
    }

    fn row(fate: Fate, code: &str, offset: i64) -> Outcome {
        Outcome {
            event_id: EventId([1; 16]),
            fate,
            transaction_id: TransactionId::parse("tx-1").unwrap(),
            account_id: "a".into(),
            amount: Amount::new(5).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            gateway_id: None,
            code: Some(code.into()),
            attempts: 1,
            source: place(offset),
            payload_hash: PayloadHash([0; 32]),
            created_at: Wall(0),
            admitted_at: Wall(0),
            decided_at: None,
            stored_at: None,
        }
    }

    fn known(row: Option<&Outcome>) -> Known<'_> {
        Known { topic: TOPIC, row, again: None, force: false }
    }

    /// The same with and without force, so that no force lifts it.
    fn refused(standing: &Standing, known: Known<'_>) -> Refusal {
        let refusal = judge(standing, &known).unwrap_err();
        assert_eq!(judge(standing, &Known { force: true, ..known }), Err(refusal.clone()));
        refusal
    }

    /// Refused, and done all the same where it is forced; the count then.
    fn lifted(standing: &Standing, known: Known<'_>) -> (Refusal, u32) {
        let forced = judge(standing, &Known { force: true, ..known }).unwrap();
        (judge(standing, &known).unwrap_err(), forced)
    }

    #[test]
    fn a_rejected_record_may_be_replayed_three_times() {
        for replays in 0..3 {
            let standing = Standing { replays: Some(replays), ..standing(Fate::Rejected) };
            assert_eq!(judge(&standing, &known(None)), Ok(replays));
        }
        let fourth = Standing { replays: Some(3), ..standing(Fate::Rejected) };
        assert_eq!(lifted(&fourth, known(None)), (Refusal::Loop(3), 3));
        let fifth = Standing { replays: Some(4), ..standing(Fate::Rejected) };
        assert_eq!(lifted(&fifth, known(None)), (Refusal::Loop(4), 4));
        let unknown = Standing { replays: None, ..standing(Fate::Rejected) };
        assert_eq!(lifted(&unknown, known(None)), (Refusal::Uncounted, 3));
    }

    #[test]
    fn a_doubt_is_replayed_only_where_its_own_row_was_resolved_as_not_charged() {
        let doubt = standing(Fate::InDoubt);
        let id = || TransactionId::parse("tx-1").unwrap();
        assert_eq!(judge(&doubt, &known(Some(&row(Fate::InDoubt, NOT_CHARGED, 7)))), Ok(0));
        assert_eq!(refused(&doubt, known(None)), Refusal::NoRow(id()));
        let open = row(Fate::InDoubt, "key_expired", 7);
        assert_eq!(refused(&doubt, known(Some(&open))), Refusal::InDoubt(id()));
        for fate in [Fate::Archived, Fate::Declined] {
            let ended = row(fate, NOT_CHARGED, 7);
            let why = Refusal::Ended(Box::new(ended.clone()));
            assert_eq!(refused(&doubt, known(Some(&ended))), why);
        }
        let later = row(Fate::InDoubt, NOT_CHARGED, 9);
        assert_eq!(refused(&doubt, known(Some(&later))), Refusal::Superseded(id(), place(9)));
        let mut nameless = doubt;
        nameless.told.as_mut().unwrap().transaction_id = None;
        let why = Refusal::Foreign(BadLetter("tollbridge-transaction-id"));
        assert_eq!(refused(&nameless, known(Some(&later))), why);
    }

    #[test]
    fn a_duplicate_needs_force_and_a_row_that_keeps_it_one() {
        let duplicate = standing(Fate::Duplicate);
        let archived = row(Fate::Archived, "", 5);
        let refusal = Refusal::Duplicate(Some(place(5)));
        assert_eq!(lifted(&duplicate, known(Some(&archived))), (refusal, 0));
        let why = Refusal::NoRow(TransactionId::parse("tx-1").unwrap());
        assert_eq!(refused(&duplicate, known(None)), why);
    }

    #[test]
    fn what_stands_on_the_topic_again_is_not_replayed_a_second_time() {
        let known = Known { again: Some("transactions/3/90"), ..known(None) };
        let refusal = Refusal::Again("transactions/3/90".into());
        assert_eq!(lifted(&standing(Fate::Rejected), known), (refusal, 0));
    }

    #[test]
    fn what_cannot_be_made_again_here_is_never_replayed() {
        let cut = Standing { cut: vec!["value".into(), "key".into()], ..standing(Fate::Rejected) };
        assert_eq!(refused(&cut, known(None)), Refusal::Cut("value and key".into()));
        let elsewhere = Known { topic: "others", ..known(None) };
        let why = Refusal::OtherTopic(TOPIC.into());
        assert_eq!(refused(&standing(Fate::Rejected), elsewhere), why);
        let mut foreign = standing(Fate::Rejected);
        foreign.told = Err(BadLetter("tollbridge-fate"));
        let why = Refusal::Foreign(BadLetter("tollbridge-fate"));
        assert_eq!(refused(&foreign, known(None)), why);
    }

    #[test]
    fn rows_are_asked_for_where_a_charge_is_possible() {
        assert_eq!(needs_row(&standing(Fate::Rejected)), None);
        for fate in [Fate::InDoubt, Fate::Duplicate] {
            assert_eq!(needs_row(&standing(fate)).unwrap().as_str(), "tx-1");
        }
    }
}
