//! Every commit of the group, read from the topic in which the broker keeps them: what was promised at each moment,
//! not only at the end. Deliberately the metadata's content is not understood, only its length.

use std::collections::BTreeMap;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::oracle::Place;
use tollbridge_rig::stack::{GROUP, TRANSACTIONS};
use tollbridge_rig::{Error, Result, Stack};

/// Clocks of one host, read in different processes and rounded to milliseconds.
const ROUNDING_MS: i64 = 2;

/// A commit of one partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Of the source topic.
    pub partition: i32,
    /// All below it is finished.
    pub offset: i64,
    /// Of the metadata.
    pub chars: usize,
    /// When the broker took it; milliseconds since 1970.
    pub at_ms: i64,
}

/// All commits of the group, in their order.
///
/// # Errors
/// When the topic cannot be read or understood.
pub fn commits(stack: &Stack) -> Result<Vec<Commit>> {
    let records = stack.kafka.read_committed("__consumer_offsets")?;
    records.iter().filter_map(|record| commit(record).transpose()).collect()
}

/// Commits that promised what was not told, or took a promise back, or have more metadata than this many characters.
/// An event's time is when its producer made it.
#[must_use]
pub fn findings(
    commits: &[Commit],
    events: &BTreeMap<Place, i64>,
    metadata_max: usize,
) -> Vec<String> {
    let mut found = Vec::new();
    // Each partition's watermark, and the latest event below it.
    let mut marks: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for commit in commits {
        let Commit { partition, offset, at_ms, chars } = *commit;
        let (mark, latest) = marks.entry(partition).or_insert((0, i64::MIN));
        if offset < *mark {
            found.push(format!("I5: partition {partition} went back from {mark} to {offset}"));
        }
        for below in *mark..offset {
            match events.get(&(partition, below)) {
                None => found.push(format!(
                    "I5: partition {partition} was committed at {offset}, and {below} has no event"
                )),
                Some(told) => *latest = (*latest).max(*told),
            }
        }
        *mark = offset.max(*mark);
        if *latest > at_ms + ROUNDING_MS {
            let late = *latest - at_ms;
            found.push(format!(
                "I5: partition {partition} was committed at {offset} {late} ms before an event below it was made"
            ));
        }
        if chars > metadata_max {
            found.push(format!("I8: partition {partition} has {chars} characters of metadata"));
        }
    }
    found
}

/// Big-endian fields of which the front is taken.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_at_checked(N)?;
        self.0 = rest;
        front.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(i16::from_be_bytes(self.array()?)).ok()?;
        self.utf8(length)
    }

    /// Of the compact encoding: its length and one, seven bits a byte, is in front.
    fn compact_text(&mut self) -> Option<&'a str> {
        let mut length = 0_usize;
        for shift in [0, 7, 14] {
            let byte = self.array::<1>()?[0];
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return self.utf8(length.checked_sub(1)?);
            }
        }
        None
    }

    fn utf8(&mut self, length: usize) -> Option<&'a str> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(front).ok()
    }
}

/// The commit of our group that a record holds; nothing where it holds something else.
fn commit(record: &Record) -> Result<Option<Commit>> {
    let mut key = Cursor(record.key.as_deref().unwrap_or_default());
    // Higher versions of the key are about the group's members.
    let version = key.array().map(i16::from_be_bytes);
    if version.is_none_or(|version| version > 1) || key.text() != Some(GROUP) {
        return Ok(None);
    }
    let unread = || Error::new(format!("the commit at offset {} cannot be read", record.offset));
    if key.text().ok_or_else(unread)? != TRANSACTIONS {
        return Ok(None);
    }
    let partition = key.array().map(i32::from_be_bytes).ok_or_else(unread)?;
    let Some(value) = &record.value else {
        return Err(Error::new(format!("the offset of partition {partition} was deleted")));
    };
    let mut value = Cursor(value);
    let read = |value: &mut Cursor<'_>| -> Option<(i64, usize)> {
        let is_compact = i16::from_be_bytes(value.array()?) >= 4;
        let offset = i64::from_be_bytes(value.array()?);
        value.array::<4>()?; // the leader's epoch
        let metadata = if is_compact { value.compact_text() } else { value.text() };
        Some((offset, metadata?.chars().count()))
    };
    let (offset, chars) = read(&mut value).ok_or_else(unread)?;
    Ok(Some(Commit { partition, offset, chars, at_ms: record.timestamp }))
}

#[cfg(test)]
mod tests {
    use super::{Commit, Cursor, findings};

    fn at(offset: i64, at_ms: i64) -> Commit {
        Commit { partition: 0, offset, chars: 10, at_ms }
    }

    #[test]
    fn texts_of_both_encodings_are_read() {
        assert_eq!(Cursor(b"\0\x02abc").text(), Some("ab"));
        assert_eq!(Cursor(b"\x03abc").compact_text(), Some("ab"));
        let long = [&[0xad, 0x02][..], &[b'x'; 300]].concat();
        assert_eq!(Cursor(&long).compact_text().map(str::len), Some(300));
        assert_eq!(Cursor(b"\x05abc").compact_text(), None);
    }

    #[test]
    fn a_promise_too_early_or_taken_back_is_found() {
        let events = [((0, 0), 100), ((0, 1), 200)].into();
        let told = |commits: &[Commit]| findings(commits, &events, 4096).join("; ");
        assert_eq!(told(&[at(0, 50), at(1, 110), at(2, 200)]), "");
        assert!(told(&[at(2, 190)]).contains("10 ms before an event"));
        assert!(told(&[at(3, 300)]).contains("2 has no event"));
        assert!(told(&[at(2, 300), at(1, 310)]).contains("went back from 2 to 1"));
        let long = Commit { chars: 4097, ..at(0, 50) };
        assert!(told(&[long]).contains("4097 characters"));
    }
}
