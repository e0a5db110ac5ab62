//! The text beside a committed offset: what the watermark alone can't say. It is the truth about a partition; text
//! that can't be read is an error, never an empty list. How the cut is chosen is not decided here.
//!
//! Bytes, then written as text ([`base32768`]); numbers are variable-length ([`varint`]) unless a size is given:
//!
//! ```text
//! magic 2  version 1  flags 1  epoch  store id 16  recipe 4 (big-endian)
//! topic 4 (big-endian), by flag  forgotten − watermark, by flag
//! bound − watermark (signed)  cut − watermark
//! marks: count, then for each: offset (the first − watermark, signed; the next − previous − 1), minute
//! unfinished: by flag, up to the CRC
//!    list:   the first − watermark, then each − previous − 1
//!    bitmap: bit i of byte j stands for watermark + 8·j + i; the last byte is not zero
//! CRC-32 4 (big-endian), over the watermark (8, big-endian) and all before
//! ```
//!
//! The CRC covers the watermark because everything is relative to it.
//!
//! # What fitted once fits again
//!
//! Take elements away and let the watermark rise up to the first that is left. The *list* never grows: removing one
//! merges two stored gaps `a` and `b` into `a + b + 1`, and where `a` took `p` bytes and `b` took `q`, then
//! `a + b + 1 < 2^(7p) + 2^(7q) ≤ 2^(7(p+q))`, which fits in `p + q` bytes. The *bitmap* never grows either: it ends
//! with the last element. The shorter of the two is written, and the smaller of two sizes that don't grow does not
//! grow. Runs of neighbours get no code of their own: taking one out of the middle would split a run and cost bytes.

use super::{base32768, varint};
use crate::domain::id::{Epoch, Offset, RecipeHash, StoreId, TopicHash};
use crate::domain::offsets::Told;
pub use crate::domain::offsets::{MARKS_MAX, Mark};

const MAGIC: [u8; 2] = [0x54, 0xB1];
const VERSION: u8 = 1;
const FLAG_BITMAP: u8 = 1;
const FLAG_TOPIC: u8 = 2;
const FLAG_FORGOTTEN: u8 = 4;
const CRC_BYTES: usize = 4;
/// Everything but the unfinished offsets, every number at its longest.
const HEADER_BYTES_MAX: usize = 2 + 1 + 1 + varint::BYTES_MAX + 16 + 4      // up to the recipe
    + 4 + 3 * varint::BYTES_MAX                                         // topic, forgotten, bound and cut
    + 1 + MARKS_MAX * (varint::BYTES_MAX + 5)                           // marks
    + CRC_BYTES;

/// What is known of a partition beside its watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// At and above it nothing is finished.
    pub cut: Offset,
    /// Ascending; all at or above the watermark and below the cut. What is not here below the cut is finished.
    pub unfinished: Vec<Offset>,
    /// At and above it no request was ever sent.
    pub bound: Offset,
    /// At most [`MARKS_MAX`], ascending by offset.
    pub marks: Vec<Mark>,
    pub epoch: Epoch,
    pub store: StoreId,
    pub recipe: RecipeHash,
    /// Whose offset this is; `None` where the brokers did not say.
    pub topic: Option<TopicHash>,
    /// See [`Told::forgotten`]; at or below the watermark it says nothing.
    pub forgotten: Offset,
}

/// Why a text is not the metadata of that watermark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    /// Someone set the offset by hand, or another program commits for this group.
    #[error("the committed offset has no metadata")]
    Empty,
    #[error(
        "character {0} of the offset metadata is not of our alphabet: another program wrote it"
    )]
    Foreign(usize),
    #[error("the offset metadata does not begin as ours does: another program wrote it")]
    Magic,
    #[error(
        "the offset metadata has version {0}, this program reads 1: a newer Tollbridge wrote it"
    )]
    Version(u8),
    #[error(
        "the offset metadata is damaged, or stands beside another offset than it was written for"
    )]
    Crc,
    /// The CRC is right and the content is not: whoever wrote it has a fault.
    #[error("the offset metadata is malformed: {0}")]
    Malformed(&'static str),
}

impl Metadata {
    /// The text to commit beside `watermark`.
    ///
    /// # Panics
    /// Where the fields break their rules: to commit a wrong list is to skip payments, or to repeat them.
    #[must_use]
    pub fn encode(&self, watermark: Offset) -> String {
        assert!(self.cut >= watermark, "the cut is below the watermark");
        assert!(self.marks.len() <= MARKS_MAX, "too many marks");
        assert!(self.marks.is_sorted_by(|a, b| a.from < b.from), "marks out of order");
        let last = self.unfinished.last();
        assert!(last.is_none_or(|last| *last < self.cut), "unfinished at or above the cut");

        let (list_bytes, bitmap_bytes) = sizes(watermark, &self.unfinished);
        let as_bitmap = bitmap_bytes < list_bytes;
        let is_forgotten = self.forgotten > watermark;
        let flags = [
            (as_bitmap, FLAG_BITMAP),
            (self.topic.is_some(), FLAG_TOPIC),
            (is_forgotten, FLAG_FORGOTTEN),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        let mut out = Vec::with_capacity(HEADER_BYTES_MAX + list_bytes.min(bitmap_bytes));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, flags]);
        varint::put(&mut out, self.epoch.0);
        out.extend_from_slice(&self.store.0);
        out.extend_from_slice(&self.recipe.0.to_be_bytes());
        if let Some(topic) = self.topic {
            out.extend_from_slice(&topic.0.to_be_bytes());
        }
        if is_forgotten {
            varint::put(&mut out, distance(watermark, self.forgotten));
        }
        varint::put_signed(&mut out, self.bound.0.wrapping_sub(watermark.0));
        varint::put(&mut out, distance(watermark, self.cut));
        put_marks(&mut out, watermark, &self.marks);
        if as_bitmap {
            put_bitmap(&mut out, watermark, &self.unfinished, bitmap_bytes);
        } else {
            gaps(watermark, self.unfinished.iter().copied())
                .for_each(|gap| varint::put(&mut out, gap));
        }
        let crc = checksum(watermark, &out);
        out.extend_from_slice(&crc.to_be_bytes());
        base32768::encode(&out)
    }

    /// What it says about offsets, beside the watermark that it was committed with.
    #[must_use]
    pub fn told(self, watermark: Offset) -> Told {
        let Self { cut, unfinished, bound, marks, forgotten, .. } = self;
        Told { watermark, cut, unfinished, bound, marks, forgotten }
    }

    /// Reads what [`Self::encode`] wrote for this watermark. Any text is safe to give.
    pub fn decode(watermark: Offset, text: &str) -> Result<Self, BadMetadata> {
        if text.is_empty() {
            return Err(BadMetadata::Empty);
        }
        let bytes = base32768::decode(text).map_err(|at| BadMetadata::Foreign(at + 1))?;
        match bytes.get(..3) {
            Some([a, b, VERSION]) if [*a, *b] == MAGIC => {}
            Some([a, b, version]) if [*a, *b] == MAGIC => {
                return Err(BadMetadata::Version(*version));
            }
            _ => return Err(BadMetadata::Magic),
        }
        let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(BadMetadata::Crc)?;
        if checksum(watermark, content) != u32::from_be_bytes(*crc) {
            return Err(BadMetadata::Crc);
        }
        let mut rest = content.get(3..).unwrap_or_default();
        take_fields(watermark, &mut rest).map_err(BadMetadata::Malformed)
    }
}

/// How many of these ascending unfinished offsets fit in so many characters, beside the largest header. What fits
/// goes on fitting as elements are removed and the watermark rises.
#[must_use]
pub fn fitting(
    watermark: Offset,
    unfinished: impl Iterator<Item = Offset>,
    cap_chars: usize,
) -> usize {
    let Some(room) = base32768::bytes_in(cap_chars).checked_sub(HEADER_BYTES_MAX) else { return 0 };
    let bitmap_end = room.saturating_mul(8) as u64;
    let (mut fits, mut list_bytes, mut next) = (0, 0, watermark);
    for offset in unfinished {
        list_bytes += varint::length(distance(next, offset));
        next = offset.next();
        if list_bytes > room && distance(watermark, offset) >= bitmap_end {
            break;
        }
        fits += 1;
    }
    fits
}

/// Bytes of the list and of the bitmap.
fn sizes(watermark: Offset, unfinished: &[Offset]) -> (usize, usize) {
    let list = gaps(watermark, unfinished.iter().copied()).map(varint::length).sum();
    let bitmap = unfinished.last().map_or(0, |last| {
        usize::try_from(distance(watermark, *last) / 8).map_or(usize::MAX, |bytes| bytes + 1)
    });
    (list, bitmap)
}

/// How far each offset lies behind the one after its predecessor.
fn gaps(watermark: Offset, offsets: impl Iterator<Item = Offset>) -> impl Iterator<Item = u64> {
    offsets.scan(watermark, |next, offset| {
        let gap = distance(*next, offset);
        *next = offset.next();
        Some(gap)
    })
}

fn distance(from: Offset, to: Offset) -> u64 {
    assert!(from <= to, "offsets out of order: {to} does not come after {from}");
    to.0.abs_diff(from.0)
}

fn put_marks(out: &mut Vec<u8>, watermark: Offset, marks: &[Mark]) {
    varint::put(out, marks.len() as u64);
    let mut previous: Option<Offset> = None;
    for mark in marks {
        match previous {
            None => varint::put_signed(out, mark.from.0.wrapping_sub(watermark.0)),
            Some(previous) => varint::put(out, distance(previous.next(), mark.from)),
        }
        varint::put(out, mark.minute.into());
        previous = Some(mark.from);
    }
}

fn put_bitmap(out: &mut Vec<u8>, watermark: Offset, unfinished: &[Offset], bytes: usize) {
    let start = out.len();
    out.resize(start + bytes, 0);
    for offset in unfinished {
        let bit = distance(watermark, *offset);
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        if let Some(byte) = out.get_mut(start.saturating_add(at)) {
            *byte |= 1 << (bit % 8);
        }
    }
}

fn checksum(watermark: Offset, content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&watermark.0.to_be_bytes());
    crc.update(content);
    crc.finalize()
}

/// Everything behind magic and version.
fn take_fields(watermark: Offset, rest: &mut &[u8]) -> Result<Metadata, &'static str> {
    let flags = varint::take_array::<1>(rest).ok_or("flags")?[0];
    if flags & !(FLAG_BITMAP | FLAG_TOPIC | FLAG_FORGOTTEN) != 0 {
        return Err("unknown flags");
    }
    let epoch = Epoch(varint::take(rest).ok_or("epoch")?);
    let store = StoreId(varint::take_array(rest).ok_or("store id")?);
    let recipe = RecipeHash(u32::from_be_bytes(varint::take_array(rest).ok_or("recipe")?));
    let topic = match flags & FLAG_TOPIC {
        0 => None,
        _ => Some(TopicHash(u32::from_be_bytes(varint::take_array(rest).ok_or("topic")?))),
    };
    let forgotten = match flags & FLAG_FORGOTTEN {
        0 => watermark,
        _ => varint::take(rest).and_then(|by| after(watermark, by)).ok_or("forgotten offsets")?,
    };
    let bound = varint::take_signed(rest).and_then(|by| watermark.0.checked_add(by));
    let bound = Offset(bound.ok_or("dispatch bound")?);
    let cut = varint::take(rest).and_then(|by| after(watermark, by)).ok_or("cut")?;
    let marks = take_marks(watermark, rest)?;
    let unfinished = if flags & FLAG_BITMAP == 0 {
        take_list(watermark, rest)?
    } else {
        take_bitmap(watermark, rest)?
    };
    if unfinished.last().is_some_and(|last| *last >= cut) {
        return Err("an unfinished offset at or above the cut");
    }
    Ok(Metadata { cut, unfinished, bound, marks, epoch, store, recipe, topic, forgotten })
}

fn take_marks(watermark: Offset, rest: &mut &[u8]) -> Result<Vec<Mark>, &'static str> {
    let count = varint::take(rest).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| *count <= MARKS_MAX).ok_or("number of marks")?;
    let mut marks: Vec<Mark> = Vec::with_capacity(count);
    for _ in 0..count {
        let from = match marks.last() {
            None => {
                varint::take_signed(rest).and_then(|by| watermark.0.checked_add(by)).map(Offset)
            }
            Some(last) => varint::take(rest).and_then(|gap| next_after(last.from, gap)),
        };
        let minute = varint::take(rest).and_then(|minute| u32::try_from(minute).ok());
        marks.push(Mark { from: from.ok_or("mark")?, minute: minute.ok_or("minute of a mark")? });
    }
    Ok(marks)
}

fn take_list(watermark: Offset, rest: &mut &[u8]) -> Result<Vec<Offset>, &'static str> {
    let mut unfinished: Vec<Offset> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let gap = varint::take(rest).ok_or("gap between unfinished offsets")?;
        let offset = match unfinished.last() {
            None => after(watermark, gap),
            Some(last) => next_after(*last, gap),
        };
        unfinished.push(offset.ok_or("unfinished offset")?);
    }
    Ok(unfinished)
}

fn take_bitmap(watermark: Offset, rest: &mut &[u8]) -> Result<Vec<Offset>, &'static str> {
    if rest.last().is_none_or(|byte| *byte == 0) {
        return Err("end of the bitmap");
    }
    let mut unfinished = Vec::with_capacity(rest.len() * 4);
    for (at, byte) in std::mem::take(rest).iter().enumerate() {
        let mut left = *byte;
        while left != 0 {
            let bit = at as u64 * 8 + u64::from(left.trailing_zeros());
            unfinished.push(after(watermark, bit).ok_or("unfinished offset")?);
            left &= left - 1;
        }
    }
    Ok(unfinished)
}

fn after(from: Offset, by: u64) -> Option<Offset> {
    from.0.checked_add_unsigned(by).map(Offset)
}

fn next_after(previous: Offset, gap: u64) -> Option<Offset> {
    after(previous, gap.checked_add(1)?)
}

#[cfg(test)]
mod tests;
