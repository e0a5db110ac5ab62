//! What the metadata codec promises: nothing is lost, what fitted fits again, and no text can hurt.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const CAP: usize = 4096;

fn sample() -> (Offset, Metadata) {
    let metadata = Metadata {
        cut: Offset(1_200),
        unfinished: [1_000, 1_001, 1_005, 1_199].map(Offset).to_vec(),
        bound: Offset(2_000),
        marks: vec![
            Mark { from: Offset(900), minute: 29_000_000 },
            Mark { from: Offset(1_100), minute: 29_000_007 },
        ],
        epoch: Epoch(3),
        store: StoreId([7; 16]),
        recipe: RecipeHash(0xDEAD_BEEF),
        topic: None,
        forgotten: Offset(1_000),
    };
    (Offset(1_000), metadata)
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let (watermark, metadata) = sample();
    let bytes = base32768::decode(&metadata.encode(watermark)).unwrap();
    let (content, crc) = bytes.split_last_chunk::<4>().unwrap();
    let mut expected = vec![0x54, 0xB1, 1, 0, 3];
    expected.extend([7; 16]);
    expected.extend([0xDE, 0xAD, 0xBE, 0xEF]);
    expected.extend([0xD0, 0x0F]); // bound: +1000 in zigzag
    expected.extend([0xC8, 0x01]); // cut: +200
    expected.extend([2, 0xC7, 0x01, 0xC0, 0x82, 0xEA, 0x0D]); // two marks, the first at −100
    expected.extend([0xC7, 0x01, 0xC7, 0x82, 0xEA, 0x0D]); // the second 200 on
    expected.extend([0, 0, 3, 0xC1, 0x01]); // unfinished
    assert_eq!(content, expected);
    let mut summed = 1_000_i64.to_be_bytes().to_vec();
    summed.extend(content);
    assert_eq!(*crc, crc32fast::hash(&summed).to_be_bytes());
}

#[test]
fn nothing_unfinished_is_short() {
    let (_, mut metadata) = sample();
    (metadata.unfinished, metadata.cut, metadata.bound) = (vec![], Offset(5), Offset(2));
    let text = metadata.encode(Offset(5));
    assert!(text.chars().count() <= 30, "{}", text.chars().count());
    assert_eq!(Metadata::decode(Offset(5), &text), Ok(metadata));
}

#[test]
fn the_cap_carries_what_it_should() {
    let watermark = Offset(1 << 40);
    let every = |step: usize| (watermark.0..i64::MAX).step_by(step).map(Offset);
    // Neighbours: a bit each. Up to 128 apart: a byte each. Far apart: two bytes each.
    assert_eq!(fitting(watermark, every(1), CAP), (7_680 - HEADER_BYTES_MAX) * 8);
    assert_eq!(fitting(watermark, every(100), CAP), 7_680 - HEADER_BYTES_MAX);
    assert_eq!(fitting(watermark, every(1_000), CAP), (7_680 - HEADER_BYTES_MAX).div_ceil(2));
    assert_eq!(fitting(watermark, every(1), 10), 0);
    assert_eq!(fitting(watermark, [].into_iter(), CAP), 0);
}

#[test]
fn other_texts_are_told_apart() {
    let (watermark, metadata) = sample();
    let text = metadata.encode(watermark);
    let decode = |text: &str| Metadata::decode(watermark, text);
    assert_eq!(decode(""), Err(BadMetadata::Empty));
    assert_eq!(decode("{\"a\":1}"), Err(BadMetadata::Foreign(1)));
    assert_eq!(decode("\u{4E00}\u{4E00}\u{4E00}\u{4E00}"), Err(BadMetadata::Magic));
    assert_eq!(Metadata::decode(watermark.next(), &text), Err(BadMetadata::Crc));
    assert_eq!(decode(&base32768::encode(&[0x54, 0xB1, 1])), Err(BadMetadata::Crc));
    assert_eq!(decode(&base32768::encode(&[0x54, 0xB1, 2, 9])), Err(BadMetadata::Version(2)));
}

#[test]
fn the_topic_and_what_is_forgotten_stand_behind_the_recipe() {
    let (watermark, plain) = sample();
    let metadata =
        Metadata { topic: Some(TopicHash(0xCAFE_F00D)), forgotten: Offset(1_300), ..plain.clone() };
    let bytes = |metadata: &Metadata| base32768::decode(&metadata.encode(watermark)).unwrap();
    let (with, without) = (bytes(&metadata), bytes(&plain));
    let mut expected = without[..without.len() - CRC_BYTES].to_vec();
    expected[3] = FLAG_TOPIC | FLAG_FORGOTTEN;
    expected.splice(25..25, [0xCA, 0xFE, 0xF0, 0x0D, 0xAC, 0x02]);
    assert_eq!(with[..with.len() - CRC_BYTES], expected);
    // What is finished is not forgotten.
    let over = Metadata { forgotten: Offset(999), ..plain.clone() };
    assert_eq!(over.encode(watermark), plain.encode(watermark));
}

/// A right CRC over wrong content: only a fault of ours writes it, and it must still be seen.
#[test]
fn wrong_content_under_a_right_crc_is_refused() {
    let (watermark, metadata) = sample();
    let good = base32768::decode(&metadata.encode(watermark)).unwrap();
    let good = &good[..good.len() - CRC_BYTES];
    let marks_at = 5 + 16 + 4 + 2 + 2;
    let spoilt = |at: usize, value: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = value;
        bytes
    };
    let cases = [
        (good[..good.len() - 1].to_vec(), "gap between unfinished offsets"),
        (good[..20].to_vec(), "store id"),
        ([good, &[0x7F][..]].concat(), "an unfinished offset at or above the cut"),
        (spoilt(3, 8), "unknown flags"),
        (spoilt(marks_at, 9), "number of marks"),
        ([&spoilt(3, FLAG_BITMAP)[..], &[0]].concat(), "end of the bitmap"),
        ([&good[..marks_at], &[0, 0xFF]].concat(), "gap between unfinished offsets"),
    ];
    for (mut bytes, what) in cases {
        let crc = checksum(watermark, &bytes);
        bytes.extend(crc.to_be_bytes());
        let decoded = Metadata::decode(watermark, &base32768::encode(&bytes));
        assert_eq!(decoded, Err(BadMetadata::Malformed(what)));
    }
}

#[test]
#[should_panic(expected = "offsets out of order")]
fn a_list_out_of_order_is_never_written() {
    let (watermark, mut metadata) = sample();
    metadata.unfinished.swap(1, 2);
    drop(metadata.encode(watermark));
}

#[test]
#[should_panic(expected = "at or above the cut")]
fn an_offset_above_the_cut_is_never_written() {
    let (watermark, mut metadata) = sample();
    metadata.cut = Offset(1_199);
    drop(metadata.encode(watermark));
}

/// Offsets in clumps and far apart, from the watermark on.
fn offsets() -> impl Strategy<Value = (i64, Vec<Offset>)> {
    let gap =
        prop_oneof![8 => Just(0_i64), 4 => 0..130_i64, 2 => 0..40_000_i64, 1 => 0..1_i64 << 40];
    (0..1_i64 << 50, prop::collection::vec(gap, 0..400)).prop_map(|(watermark, gaps)| {
        let mut next = watermark;
        let offsets = gaps.into_iter().map(|gap| {
            let offset = next + gap;
            next = offset + 1;
            Offset(offset)
        });
        (watermark, offsets.collect())
    })
}

prop_compose! {
    fn any_metadata()(
        (watermark, unfinished) in offsets(),
        above in 1..1_i64 << 40,
        bound in 0..1_i64 << 51,
        marks in prop::collection::btree_map(0..1_i64 << 51, any::<u32>(), 0..=MARKS_MAX),
        epoch in any::<u64>(),
        store in any::<[u8; 16]>(),
        recipe in any::<u32>(),
        topic in prop::option::of(any::<u32>().prop_map(TopicHash)),
        forgotten in prop_oneof![Just(0), 1..1_i64 << 40],
    ) -> (Offset, Metadata) {
        let cut = Offset(unfinished.last().map_or(watermark, |last| last.0) + above);
        let marks = marks.into_iter().map(|(from, minute)| Mark { from: Offset(from), minute });
        (Offset(watermark), Metadata {
            cut, unfinished, bound: Offset(bound), marks: marks.collect(),
            epoch: Epoch(epoch), store: StoreId(store), recipe: RecipeHash(recipe),
            topic, forgotten: Offset(watermark + forgotten),
        })
    }
}

fn list_size(watermark: Offset, unfinished: &[Offset]) -> usize {
    let (list, bitmap) = sizes(watermark, unfinished);
    list.min(bitmap)
}

proptest! {
    #[test]
    fn everything_comes_back((watermark, metadata) in any_metadata()) {
        let text = metadata.encode(watermark);
        prop_assert_eq!(Metadata::decode(watermark, &text), Ok(metadata));
    }

    /// The header is never larger than it is counted, so what fits is what the cap allows.
    #[test]
    fn what_fits_is_within_the_cap(
        (watermark, mut metadata) in any_metadata(), cap in 100..700_usize,
    ) {
        let all = metadata.unfinished.clone();
        let fits = fitting(watermark, all.iter().copied(), cap);
        metadata.unfinished.truncate(fits);
        let chars = metadata.encode(watermark).chars().count();
        prop_assert!(chars <= cap || (fits == 0 && chars * 15 / 8 <= HEADER_BYTES_MAX));
        // And it is no smaller than need be.
        if fits < all.len() {
            let more = list_size(watermark, &all[..=fits]);
            prop_assert!(more + HEADER_BYTES_MAX > base32768::bytes_in(cap));
        }
    }

    #[test]
    fn what_fitted_fits_again(
        (watermark, unfinished) in offsets(),
        removed in prop::collection::vec(any::<Index>(), 1..40),
        cap in 100..700_usize,
    ) {
        let watermark = Offset(watermark);
        let fits = fitting(watermark, unfinished.iter().copied(), cap);
        let mut left = unfinished[..fits].to_vec();
        for index in removed {
            if left.is_empty() {
                break;
            }
            let before = list_size(watermark, &left);
            left.remove(index.index(left.len()));
            prop_assert!(list_size(watermark, &left) <= before);
        }
        let risen = left.first().copied().unwrap_or(watermark);
        prop_assert!(list_size(risen, &left) <= list_size(watermark, &left));
        prop_assert_eq!(fitting(risen, left.iter().copied(), cap), left.len());
    }

    #[test]
    fn any_text_is_safe(watermark in any::<i64>(), text in any::<String>()) {
        prop_assert!(Metadata::decode(Offset(watermark), &text).is_err());
    }

    #[test]
    fn any_bytes_under_a_right_crc_are_safe(
        watermark in any::<i64>(), bytes in prop::collection::vec(any::<u8>(), 0..200), flags in 0..2_u8,
    ) {
        let mut bytes = [&[0x54, 0xB1, VERSION, flags][..], &bytes].concat();
        let crc = checksum(Offset(watermark), &bytes);
        bytes.extend(crc.to_be_bytes());
        if let Ok(read) = Metadata::decode(Offset(watermark), &base32768::encode(&bytes)) {
            prop_assert!(read.unfinished.is_sorted_by(|a, b| a < b));
            prop_assert!(read.unfinished.iter().all(|o| o.0 >= watermark && *o < read.cut));
            prop_assert!(read.marks.len() <= MARKS_MAX);
        }
    }

    #[test]
    fn a_changed_character_is_seen(
        (watermark, metadata) in any_metadata(), at in any::<Index>(), other in 0x4E00..0x9E00_u32,
    ) {
        let mut text: Vec<char> = metadata.encode(watermark).chars().collect();
        let (at, other) = (at.index(text.len()), char::from_u32(other).unwrap());
        prop_assume!(text[at] != other);
        text[at] = other;
        let text: String = text.into_iter().collect();
        prop_assert!(Metadata::decode(watermark, &text).is_err());
    }
}
