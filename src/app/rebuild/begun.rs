//! Which partitions the group has begun, whether with this store, and where. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};

use crate::app::exit::Exit;
use crate::domain::hex::hex;
use crate::domain::id::{Offset, Partition, StoreId};
use crate::domain::offsets::Told;
use crate::ports::source::Committed;
use crate::ports::store::SourceStart;
use crate::wire::metadata::Metadata;

/// What is finished of each partition that the group has begun; the store must be the one that it was begun with.
pub(super) fn told(
    committed: &[Committed],
    ours: StoreId,
) -> anyhow::Result<BTreeMap<Partition, Told>> {
    let mut told = BTreeMap::new();
    for Committed { partition, point, .. } in committed {
        // An offset that was set before the group first ran tells nothing.
        let Some((watermark, text)) = point.as_ref().filter(|(_, text)| !text.is_empty()) else {
            continue;
        };
        let metadata = Metadata::decode(*watermark, text)
            .with_context(|| format!("partition {partition}, offset {watermark}"))?;
        if metadata.store != ours {
            let (theirs, ours) = (hex(&metadata.store.0), hex(&ours.0));
            return Err(Exit::BadConfig.because(anyhow!(
                "the group works with store {theirs}, and store.url names store {ours}: point it at the group's \
                 own, or at a backup of it. Where there is none, a new one has to be given its id first: \
                 docs/operating.md, \"A store that was lost\""
            )));
        }
        told.insert(*partition, metadata.told(*watermark));
    }
    Ok(told)
}

/// First offsets that the store does not know: of each partition the first record that an event tells of. Every record
/// between the true start and the watermark has an event, so none is passed over but those whose events are gone.
///
/// A processor would write the watermark of today instead, and `reconcile` would look at nothing before it.
pub(super) fn missing(
    told: &BTreeMap<Partition, Told>,
    known: &[SourceStart],
    firsts: &BTreeMap<Partition, Offset>,
) -> Vec<(Partition, Offset)> {
    let is_known = |partition| known.iter().any(|start| start.partition == partition);
    let unknown = told.iter().filter(|(partition, _)| !is_known(**partition));
    let start = |(partition, told): (&Partition, &Told)| {
        let first = firsts.get(partition).copied().unwrap_or(told.watermark);
        (*partition, first.min(told.watermark))
    };
    unknown.map(start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::exit::Failed;
    use crate::domain::id::{Epoch, RecipeHash};

    const OURS: StoreId = StoreId([1; 16]);

    fn committed(partition: i32, text: Option<String>) -> Committed {
        Committed {
            partition: Partition(partition),
            point: text.map(|text| (Offset(10), text)),
            low: Offset(0),
            high: Offset(20),
            topic: None,
        }
    }

    /// Of a partition whose watermark is 10; 12 is finished too.
    fn text(store: StoreId) -> String {
        let metadata = Metadata {
            cut: Offset(13),
            unfinished: vec![Offset(10), Offset(11)],
            bound: Offset(20),
            marks: Vec::new(),
            epoch: Epoch(3),
            store,
            recipe: RecipeHash(7),
            topic: None,
            forgotten: Offset(0),
        };
        metadata.encode(Offset(10))
    }

    #[test]
    fn only_what_was_begun_is_told() {
        let points = [Some(text(OURS)), None, Some(String::new())];
        let all: Vec<Committed> =
            (0..).zip(points).map(|(partition, point)| committed(partition, point)).collect();
        let told = told(&all, OURS).unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), [&Partition(0)]);
        let is_finished = |offset| told[&Partition(0)].is_finished(Offset(offset));
        assert_eq!([9, 10, 11, 12, 13].map(is_finished), [true, false, false, true, false]);
    }

    #[test]
    fn another_store_is_refused_with_both_ids_and_the_remedy() {
        let all = [committed(0, Some(text(OURS))), committed(1, Some(text(StoreId([0xAB; 16]))))];
        let refused = told(&all, OURS).unwrap_err();
        assert_eq!(refused.downcast_ref::<Failed>().unwrap().exit, Exit::BadConfig);
        let why = refused.to_string();
        for word in ["ab".repeat(16), "01".repeat(16), "A store that was lost".to_owned()] {
            assert!(why.contains(&word), "{why}");
        }
    }

    #[test]
    fn metadata_that_cannot_be_read_ends_it() {
        let why = told(&[committed(4, Some("?".to_owned()))], OURS).unwrap_err();
        assert!(format!("{why:#}").starts_with("partition 4, offset 10: "), "{why:#}");
    }

    #[test]
    fn a_partition_began_where_its_first_event_is() {
        let told: BTreeMap<Partition, Told> =
            (0..3).map(|partition| (Partition(partition), Told::nothing(Offset(10)))).collect();
        let (group, topic) = ("g".to_owned(), "t".to_owned());
        let start = Offset(0);
        let known = [SourceStart { group, topic, partition: Partition(0), start }];
        let firsts = [(Partition(0), Offset(5)), (Partition(1), Offset(7))].into();
        let expected = [(Partition(1), Offset(7)), (Partition(2), Offset(10))];
        assert_eq!(missing(&told, &known, &firsts), expected);
    }
}
