//! What is generated is read back by the same decoder that reads the topic.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::Offset;
use crate::domain::record::Record;
use crate::wire::transaction::{Decoder, Format, Rejection, code};

fn recipe(mix: &str, encoding: Encoding) -> Recipe {
    let (mix, id_prefix) = (mix.parse().unwrap(), "tx-7-".to_owned());
    Recipe { seed: 7, mix, encoding, partitions: 4, id_prefix }
}

fn take(mix: &str, encoding: Encoding, count: usize) -> Vec<Sample> {
    Samples::new(recipe(mix, encoding)).take(count).collect()
}

fn decode(sample: &Sample) -> Result<Transaction, Rejection> {
    let decoder = Decoder::new(Format::Auto, None, 65_536).unwrap();
    decoder.decode(&Record {
        offset: Offset(0),
        key: Some(sample.key.clone().into()),
        value: sample.value.clone().map(Into::into),
        headers: sample.headers.clone(),
        timestamp_ms: None,
    })
}

const MIXED: &str = "declined=10%,invalid=10%,duplicate=10%,conflict=5%";

#[test]
fn a_seed_gives_the_same_records() {
    assert_eq!(take(MIXED, Encoding::Json, 500), take(MIXED, Encoding::Json, 500));
    let other = Recipe { seed: 8, ..recipe(MIXED, Encoding::Json) };
    let other: Vec<Sample> = Samples::new(other).take(500).collect();
    assert_ne!(take(MIXED, Encoding::Json, 500), other);
}

#[test]
fn good_ones_are_read_invalid_ones_are_rejected_in_every_encoding() {
    for encoding in [Encoding::Json, Encoding::Avro, Encoding::AvroConfluent] {
        for sample in take(MIXED, encoding, 1_000) {
            match (sample.kind, decode(&sample)) {
                (Kind::Invalid, read) => assert!(read.is_err(), "{encoding:?} {sample:?}"),
                (kind, read) => {
                    let tx = read.unwrap();
                    assert_eq!(tx.id.as_str().as_bytes(), sample.key);
                    assert_eq!(sample.money, Some((tx.currency, tx.amount)));
                    let declined = tx.payment_method.starts_with("pm_declined");
                    assert!(declined || kind != Kind::Declined, "{tx:?}");
                    assert!(!declined || kind != Kind::Good, "{tx:?}");
                }
            }
        }
    }
}

#[test]
fn records_are_wrong_in_every_way() {
    let samples = take("invalid=100%", Encoding::Json, 300);
    let found: BTreeSet<&str> = samples.iter().map(|s| decode(s).unwrap_err().code).collect();
    let expected = [
        code::TOMBSTONE,
        code::UNDECODABLE,
        code::CARD_NUMBER,
        code::MISSING_FIELD,
        code::UNKNOWN_CURRENCY,
        code::BAD_AMOUNT,
        code::BAD_ID,
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn repeats_have_an_earlier_id_and_come_on_other_partitions_too() {
    let mut first: BTreeMap<Vec<u8>, Sample> = BTreeMap::new();
    let (mut same, mut other, mut conflicts) = (0, 0, 0);
    for sample in take(MIXED, Encoding::Json, 5_000) {
        match sample.kind {
            Kind::Duplicate => {
                let earlier = &first[&sample.key];
                assert_eq!(earlier.value, sample.value);
                if earlier.partition == sample.partition { same += 1 } else { other += 1 }
            }
            Kind::Conflict => {
                assert_ne!(first[&sample.key].value, sample.value);
                conflicts += 1;
            }
            _ => assert!(first.insert(sample.key.clone(), sample).is_none(), "an id came twice"),
        }
    }
    assert!(same > 100 && other > 100 && conflicts > 100, "{same} {other} {conflicts}");
}

#[test]
fn shares_accounts_and_currencies_are_as_asked() {
    let samples = take(MIXED, Encoding::Json, 20_000);
    let count = |kind| samples.iter().filter(|sample| sample.kind == kind).count();
    for (kind, expected) in
        [(Kind::Declined, 2_000), (Kind::Invalid, 2_000), (Kind::Duplicate, 2_000)]
    {
        assert!(count(kind).abs_diff(expected) < 200, "{kind}: {}", count(kind));
    }
    let exponents: BTreeSet<u16> = samples.iter().filter_map(|s| s.money?.0.exponent()).collect();
    assert_eq!(exponents, BTreeSet::from([0, 2, 3]));
    let partitions: BTreeSet<Partition> = samples.iter().map(|s| s.partition).collect();
    assert_eq!(partitions, (0..4).map(Partition).collect());
    let mut accounts: BTreeMap<String, usize> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.kind == Kind::Good) {
        *accounts.entry(decode(sample).unwrap().account_id).or_default() += 1;
    }
    let busiest = accounts.values().max().copied().unwrap_or_default();
    assert!(accounts.len() > 3_000 && busiest > 500, "{} {busiest}", accounts.len());
}
