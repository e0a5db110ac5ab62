//! What stands on the topic of dead letters: found, counted, shown, and made into records again. It reads as any
//! consumer may, and is no part of the route; only [`replay`] writes, and only to the source topic, and only [`purge`]
//! deletes.

pub mod judge;
pub mod letter;
mod produce;
mod purge;
mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use anyhow::anyhow;

use super::reconcile::{Watch, kafka_gone, patiently, reader, span};
use crate::adapters::kafka::{Reader, Settings};
use crate::config::Config;
use crate::domain::balance::Spot;
use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::outcome::Fate;
use crate::domain::record::Record;

pub use letter::{Named, Standing};
pub use purge::{Purge, Purged, Stays, purge};
pub use replay::{Judged, Order, Report, Verdict, replay};

/// Which dead letters are meant. What is not set excludes none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub fate: Option<Fate>,
    pub code: Option<String>,
    pub id: Option<TransactionId>,
    /// Written then or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Written before.
    pub until_ms: Option<i64>,
}

impl Filter {
    /// What is no dead letter of ours passes only where nothing is asked about what it would tell.
    #[must_use]
    pub fn lets(&self, standing: &Standing) -> bool {
        let told = standing.told.as_ref().ok();
        let fate = self.fate.is_none_or(|fate| told.is_some_and(|told| told.fate == fate));
        let code = self.code.as_ref();
        let code = code.is_none_or(|code| told.is_some_and(|told| told.code == *code));
        let id = self.id.as_ref();
        let id = id.is_none_or(|id| told.is_some_and(|t| t.transaction_id.as_ref() == Some(id)));
        let at = standing.at_ms;
        let since = self.since_ms.is_none_or(|since| at.is_some_and(|at| at >= since));
        let until = self.until_ms.is_none_or(|until| at.is_some_and(|at| at < until));
        fate && code && id && since && until
    }
}

/// Dead letters that someone asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    At(BTreeSet<Spot>),
    Like(Filter),
}

impl Wanted {
    fn is(&self, standing: &Standing) -> bool {
        match self {
            Self::At(spots) => spots.contains(&standing.spot),
            Self::Like(filter) => filter.lets(standing),
        }
    }

    /// From where to before where a partition has to be read for them; `None`: not at all.
    fn span(&self, partition: Partition) -> Option<(Offset, Offset)> {
        let Self::At(spots) = self else { return Some((Offset(0), Offset(i64::MAX))) };
        let mut there = spots.iter().filter(|spot| spot.partition == partition);
        let first = there.next()?;
        Some((first.offset, there.next_back().unwrap_or(first).offset.next()))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// The latest of them, in the order in which they were written.
    pub letters: Vec<Standing>,
    /// Earlier ones that are only counted.
    pub more: usize,
    /// How many of each fate and code; `None`: no dead letters of ours.
    pub counts: BTreeMap<Option<(Fate, String)>, u64>,
}

/// Finds those that the filter lets through, and keeps the latest.
///
/// # Errors
/// `Exit::Unavailable` where Kafka does not answer.
pub fn list(
    config: &Config,
    filter: Filter,
    most: usize,
    watch: &mut impl Watch,
) -> anyhow::Result<Listing> {
    let (settings, reader) = reader(config)?;
    let mut listing = Listing::default();
    let mut latest = BTreeMap::new();
    each(&reader, &settings, &Wanted::Like(filter), watch, |standing| {
        let told = standing.told.as_ref().ok();
        let kind = told.map(|letter| (letter.fate, letter.code.clone()));
        *listing.counts.entry(kind).or_default() += 1;
        latest.insert((standing.at_ms, standing.spot), standing);
        if latest.len() > most {
            latest.pop_first();
            listing.more += 1;
        }
    })?;
    listing.letters = latest.into_values().collect();
    Ok(listing)
}

/// One dead letter with its payload, and its full name.
///
/// # Errors
/// `Exit::Unavailable` where Kafka does not answer; another error where nothing stands there.
pub fn show(config: &Config, named: &Named) -> anyhow::Result<(Place, Standing, Record)> {
    let (settings, reader) = reader(config)?;
    let place = place(&settings, named.spot);
    let partitions = patiently(&settings, || reader.partitions(&place.topic))?;
    let found = match partitions.contains(&place.partition) {
        true => {
            patiently(&settings, || reader.record(&place.topic, place.partition, place.offset))?
        }
        false => None,
    };
    let record = found.ok_or_else(|| anyhow!("{place}: there is no record, or no longer"))?;
    Ok((place.clone(), Standing::of(place.partition, &record), record))
}

/// The full name of a place on the topic of dead letters.
fn place(settings: &Settings, spot: Spot) -> Place {
    let topic = settings.topics.dead_letter.as_str().into();
    Place { topic, partition: spot.partition, offset: spot.offset }
}

/// Hands on what is wanted and stands there now, partition by partition.
fn each(
    reader: &Reader,
    settings: &Settings,
    wanted: &Wanted,
    watch: &mut impl Watch,
    mut each: impl FnMut(Standing),
) -> anyhow::Result<()> {
    let topic = &settings.topics.dead_letter;
    let mut spans = Vec::new();
    for partition in patiently(settings, || reader.partitions(topic))? {
        if let Some((from, to)) = wanted.span(partition) {
            let (low, high) = patiently(settings, || reader.watermarks(topic, partition))?;
            spans.push((partition, from.max(low), to.min(high)));
        }
    }
    let records = spans.iter().map(|(_, from, to)| span(*from, *to)).sum();
    watch.begin("reading dead letters", records);
    for (partition, from, to) in spans {
        let read = reader.read_part(topic, partition, (from, to), |record| {
            watch.add(1);
            let standing = Standing::of(partition, &record);
            if wanted.is(&standing) {
                each(standing);
            }
            ControlFlow::Continue(())
        });
        read.map_err(kafka_gone)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::EventId;
    use crate::wire::dead_letter::{BadLetter, Letter};

    fn spot(partition: i32, offset: i64) -> Spot {
        Spot { partition: Partition(partition), offset: Offset(offset) }
    }

    fn standing(fate: Fate, code: &str, id: Option<&str>, at_ms: Option<i64>) -> Standing {
        let letter = Letter {
            place: Place { topic: "t".into(), partition: Partition(0), offset: Offset(0) },
            event_id: EventId([0; 16]),
            fate,
            code: code.into(),
            transaction_id: id.map(|id| TransactionId::parse(id).unwrap()),
            duplicate_of: None,
        };
        Standing { spot: spot(0, 1), at_ms, told: Ok(letter), replays: Some(0), cut: Vec::new() }
    }

    #[test]
    fn a_filter_lets_through_what_has_all_that_is_asked_for() {
        let doubt = standing(Fate::InDoubt, "key_expired", Some("tx-1"), Some(50));
        let rejected = standing(Fate::Rejected, "no_value", None, None);
        let foreign = Standing { told: Err(BadLetter("tollbridge-fate")), ..doubt.clone() };
        let lets = |filter: &Filter| [&doubt, &rejected, &foreign].map(|it| filter.lets(it));
        let none = Filter::default();
        assert_eq!(lets(&none), [true, true, true]);
        let fate = Filter { fate: Some(Fate::InDoubt), ..none.clone() };
        assert_eq!(lets(&fate), [true, false, false]);
        let code = Filter { code: Some("no_value".into()), ..none.clone() };
        assert_eq!(lets(&code), [false, true, false]);
        let id = Filter { id: Some(TransactionId::parse("tx-1").unwrap()), ..none.clone() };
        assert_eq!(lets(&id), [true, false, false]);
        assert_eq!(lets(&Filter { code: code.code, ..id }), [false, false, false]);
        // What has no time was written at none.
        let time = |since_ms, until_ms| Filter { since_ms, until_ms, ..none.clone() };
        assert_eq!(lets(&time(Some(50), Some(51))), [true, false, true]);
        assert_eq!(lets(&time(Some(51), None)), [false, false, false]);
        assert_eq!(lets(&time(None, Some(50))), [false, false, false]);
    }

    #[test]
    fn only_what_lies_between_the_places_is_read() {
        let wanted = Wanted::At([spot(1, 9), spot(1, 4), spot(2, 3)].into());
        assert_eq!(wanted.span(Partition(0)), None);
        assert_eq!(wanted.span(Partition(1)), Some((Offset(4), Offset(10))));
        assert_eq!(wanted.span(Partition(2)), Some((Offset(3), Offset(4))));
        let all = Wanted::Like(Filter::default()).span(Partition(0));
        assert_eq!(all, Some((Offset(0), Offset(i64::MAX))));
    }
}
