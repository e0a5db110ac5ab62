//! What stands beside a committed offset. Any text is safe to read; what can be read is written the same; what was
//! damaged is never read as something else. A second writer of the text and its checksum, so that more than the
//! checksum is reached.

use std::collections::BTreeSet;

use tollbridge::domain::id::{Epoch, Offset, RecipeHash, StoreId, TopicHash};
use tollbridge::domain::offsets::Tracker;
use tollbridge::wire::metadata::{MARKS_MAX, Mark, Metadata, fitting};

use super::Input;

/// Kafka keeps no more, unless told to.
const CHARS_MAX: usize = 4096;
/// Ours begins with these, then the version.
const FRONT: [u8; 3] = [0x54, 0xB1, 1];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let way = input.byte();
    match way % 3 {
        0 => as_text(&mut input),
        1 => as_content(&mut input),
        _ => as_fields(&mut input),
    }
}

/// Whatever another program, or a person, committed.
fn as_text(input: &mut Input<'_>) {
    let watermark = offset(input);
    let text = String::from_utf8_lossy(input.0);
    if let Ok(metadata) = Metadata::decode(watermark, &text) {
        is_written_no_longer(watermark, &metadata, &text);
    }
}

/// Any content under a right checksum: what only a faulty writer of ours would commit.
fn as_content(input: &mut Input<'_>) {
    let watermark = offset(input);
    let content = [&FRONT, input.0].concat();
    let text = text_of(&with_checksum(watermark, &content));
    if let Ok(metadata) = Metadata::decode(watermark, &text) {
        follows_its_rules(watermark, &metadata);
        is_written_no_longer(watermark, &metadata, &text);
    }
}

/// What the program itself tells, damaged in one place.
fn as_fields(input: &mut Input<'_>) {
    let watermark = Offset(offset(input).0 >> 1);
    let metadata = told(input, watermark);
    let text = metadata.encode(watermark);
    assert_eq!(Metadata::decode(watermark, &text), Ok(metadata.clone()));
    if fitting(watermark, metadata.unfinished.iter().copied(), CHARS_MAX)
        == metadata.unfinished.len()
    {
        assert!(text.chars().count() <= CHARS_MAX, "{} characters", text.chars().count());
    }
    let mut chars: Vec<char> = text.chars().collect();
    let at = usize::from(u16::from_be_bytes(input.array())) % chars.len();
    let other = char::from_u32(u32::from(u16::from_be_bytes(input.array()))).unwrap_or('\u{AC00}');
    if chars[at] != other {
        chars[at] = other;
        let damaged: String = chars.iter().collect();
        assert!(Metadata::decode(watermark, &damaged).is_err(), "one character, unnoticed");
    }
    let cut: String = text.chars().take(at).collect();
    assert!(Metadata::decode(watermark, &cut).is_err(), "the end is missing, unnoticed");
    let beside = Offset(watermark.0 ^ i64::from(input.byte().max(1)));
    assert!(Metadata::decode(beside, &text).is_err(), "another offset's, unnoticed");
}

/// The shorter form of the unfinished offsets is the one that is written, and says the same.
fn is_written_no_longer(watermark: Offset, metadata: &Metadata, text: &str) {
    let written = metadata.encode(watermark);
    assert!(written.chars().count() <= text.chars().count());
    assert_eq!(Metadata::decode(watermark, &written).as_ref(), Ok(metadata));
}

fn offset(input: &mut Input<'_>) -> Offset {
    Offset(i64::from_be_bytes(input.array()) & i64::MAX)
}

/// Fields that keep the rules, whatever the input is.
fn told(input: &mut Input<'_>, watermark: Offset) -> Metadata {
    let small = |input: &mut Input<'_>| i64::from(u16::from_be_bytes(input.array()));
    let epoch = Epoch(u64::from_be_bytes(input.array()));
    let (store, recipe) = (StoreId(input.array()), RecipeHash(u32::from_be_bytes(input.array())));
    let bound = Offset(watermark.0.saturating_add(small(input) - 1000));
    let mut marks: Vec<Mark> = Vec::new();
    for _ in 0..usize::from(input.byte()) % (MARKS_MAX + 1) {
        let last = marks.last().map_or(watermark.0 - 500, |mark| mark.from.0);
        let from = Offset(last.saturating_add(1 + small(input)));
        marks.push(Mark { from, minute: u32::from_be_bytes(input.array()) });
    }
    let mut unfinished = BTreeSet::new();
    let mut next = watermark;
    for _ in 0..u16::from_be_bytes(input.array()) % 1024 {
        let gap = input.byte();
        let wide =
            if gap == 255 { small(input) << (input.byte() % 24) } else { i64::from(gap / 8) };
        next = Offset(next.0.saturating_add(wide));
        unfinished.insert(next);
        next = next.next();
    }
    let cut = Offset(next.0.saturating_add(small(input)));
    let unfinished = unfinished.into_iter().collect();
    let flags = input.byte();
    let topic = (flags & 1 == 1).then(|| TopicHash(u32::from_be_bytes(input.array())));
    let ahead = if flags & 2 == 2 { small(input) } else { 0 };
    let forgotten = Offset(watermark.0.saturating_add(ahead));
    Metadata { cut, unfinished, bound, marks, epoch, store, recipe, topic, forgotten }
}

/// What was read is fit to be taken over from.
fn follows_its_rules(watermark: Offset, metadata: &Metadata) {
    let Metadata { cut, unfinished, marks, .. } = metadata;
    assert!(*cut >= watermark && marks.len() <= MARKS_MAX);
    assert!(marks.is_sorted_by(|a, b| a.from < b.from));
    assert!(unfinished.is_sorted_by(|a, b| a < b));
    assert!(unfinished.iter().all(|offset| (watermark..*cut).contains(offset)));
    let tracker = Tracker::inherit(metadata.clone().told(watermark));
    assert_eq!(tracker.unfinished_len(), unfinished.len());
    assert!(unfinished.iter().all(|offset| !tracker.told().is_finished(*offset)));
    assert!(tracker.watermark() >= watermark);
}

fn with_checksum(watermark: Offset, content: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(&[&watermark.0.to_be_bytes(), content].concat());
    [content, &crc.to_be_bytes()].concat()
}

/// 15 bits a character, as the format's description has it.
fn text_of(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| u32::from(byte >> (7 - at % 8) & 1));
    let number = |from: usize, bits: usize| (from..from + bits).fold(0, |n, at| n << 1 | bit(at));
    let bits = bytes.len() * 8;
    let characters = (0..bits).step_by(15).map(|from| {
        let point = match number(from, 15) {
            _ if bits - from <= 7 => 0xA000 + number(from, 7),
            value @ ..0x1000 => 0x3400 + value,
            value @ 0x1000..0x6000 => 0x4E00 + value - 0x1000,
            value => 0xAC00 + value - 0x6000,
        };
        char::from_u32(point).unwrap()
    });
    characters.collect()
}
