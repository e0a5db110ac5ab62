//! What a dead letter on its topic is, and which record it was before. Nothing is read or written here; the payload
//! is handed through and not looked at.

use std::str::FromStr;

use bytes::Bytes;

use crate::domain::balance::Spot;
use crate::domain::id::{Offset, Partition, Place};
use crate::domain::record::{Header, Record};
use crate::wire::dead_letter::{self, BadLetter, Letter};

/// Counts how often a record was replayed.
pub const REPLAYS: &str = "tollbridge-replays";
/// Names the dead letter that a record was made again from, as `topic/partition/offset`.
pub const REPLAY_OF: &str = "tollbridge-replay-of";

/// The first of the headers that a dead letter has beyond those of its record.
const FIRST: &str = "tollbridge-fate";
/// What the headers about a part that was cut begin and end with.
const CUT: (&str, &str) = ("tollbridge-cut-", "-length");

/// A dead letter as it stands on its topic, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// On the topic of dead letters.
    pub spot: Spot,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// What it tells; an error where it is none of ours.
    pub told: Result<Letter, BadLetter>,
    /// How often its record had been replayed; `None` where the header is no number.
    pub replays: Option<u32>,
    /// The parts of its record that it does not hold whole: `value`, `key`, `headers`.
    pub cut: Vec<String>,
}

impl Standing {
    #[must_use]
    pub fn of(partition: Partition, record: &Record) -> Self {
        let (source, own) = split(&record.headers);
        let (begin, end) = CUT;
        let cut =
            |header: &Header| Some(header.name.strip_prefix(begin)?.strip_suffix(end)?.to_owned());
        Self {
            spot: Spot { partition, offset: record.offset },
            at_ms: record.timestamp_ms,
            told: dead_letter::read(&record.headers),
            replays: replays(source),
            cut: own.iter().filter_map(cut).collect(),
        }
    }
}

/// The headers of the record, and those that its dead letter has added. A record that was a dead letter before, made
/// again by others with all its headers, has headers of ours twice: only the last ones are this letter's.
#[must_use]
pub fn split(headers: &[Header]) -> (&[Header], &[Header]) {
    let own = headers.iter().rposition(|header| header.name == FIRST);
    headers.split_at(own.unwrap_or(headers.len()))
}

/// The headers of the record when it is made again from the dead letter at `place`, where it was replayed `replays`
/// times before: those that it had, byte for byte and in their order, and behind them our two.
#[must_use]
pub fn headers_again(letter: &[Header], replays: u32, place: &Place) -> Vec<Header> {
    let (source, _) = split(letter);
    let theirs = source.iter().filter(|header| header.name != REPLAYS && header.name != REPLAY_OF);
    let ours = |name: &'static str, text: String| Header {
        name: name.into(),
        value: Some(Bytes::from(text)),
    };
    let count = replays.saturating_add(1).to_string();
    let both = [ours(REPLAYS, count), ours(REPLAY_OF, place.to_string())];
    theirs.cloned().chain(both).collect()
}

/// The dead letter that a record on the source topic was made again from, as it is written there.
#[must_use]
pub fn replay_of(headers: &[Header]) -> Option<&str> {
    text(headers.iter().rfind(|header| header.name == REPLAY_OF)?)
}

fn replays(source: &[Header]) -> Option<u32> {
    let Some(count) = source.iter().rfind(|header| header.name == REPLAYS) else { return Some(0) };
    text(count)?.parse().ok()
}

fn text(header: &Header) -> Option<&str> {
    std::str::from_utf8(header.value.as_deref()?).ok()
}

/// A place on the topic of dead letters as people write it: `topic/partition/offset`, or without the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub topic: Option<String>,
    pub spot: Spot,
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "a place is TOPIC/PARTITION/OFFSET or PARTITION/OFFSET, as `dlq list` shows it";
        let mut parts = text.rsplitn(3, '/');
        let offset = parts.next().and_then(|part| part.parse().ok()).filter(|it| *it >= 0);
        let partition = parts.next().and_then(|part| part.parse().ok()).filter(|it| *it >= 0);
        let topic = parts.next().map(str::to_owned);
        match (partition, offset, topic.as_deref()) {
            (Some(partition), Some(offset), topic) if topic != Some("") => Ok(Self {
                topic: topic.map(str::to_owned),
                spot: Spot { partition: Partition(partition), offset: Offset(offset) },
            }),
            _ => Err(FORM),
        }
    }
}

#[cfg(test)]
mod tests;
