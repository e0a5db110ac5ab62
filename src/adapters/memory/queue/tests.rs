//! What only the twin can do: lose its newest writes. That it answers as Redis does is shown in
//! `tests/contract_queue`.

use std::collections::BTreeMap;

use super::state::Part;
use super::*;

const P: Partition = Partition(0);

/// All that the queue holds. Partitions that hold nothing at all are left out.
fn contents(queue: &MemoryQueue) -> BTreeMap<Partition, Part> {
    let mut all = queue.state().partitions.clone();
    all.retain(|_, part| *part != Part::default());
    all
}

fn entry(id: u8, offset: i64, body: u64) -> Entry {
    let id = TransactionId::parse(&format!("tx{id}")).unwrap();
    let key = EntryKey { id, offset: Offset(offset) };
    Entry { key, body: body.to_be_bytes().to_vec().into() }
}

/// Something random, by the epoch that stands there.
fn write(queue: &MemoryQueue, dice: &mut fastrand::Rng) {
    let partition = Partition(dice.i32(0..2));
    let stands = queue.state().part(partition).epoch.unwrap_or_default();
    let entries: Vec<Entry> =
        (0..dice.usize(0..4)).map(|_| entry(dice.u8(0..4), dice.i64(0..2), dice.u64(..))).collect();
    let keys: Vec<EntryKey> = entries.iter().map(|e| e.key.clone()).collect();
    match dice.u8(0..10) {
        0 => queue.claim(partition, Epoch(stands.0 + 1)).unwrap(),
        1..5 => drop(queue.admit(partition, stands, &entries)),
        5..7 => drop(queue.settle(partition, stands, &entries)),
        7 => drop(queue.mark(partition, stands, &entries)),
        8 => drop(queue.remove(partition, stands, &keys)),
        _ => drop(queue.missing(partition, stands, &keys)),
    }
}

#[test]
fn losing_the_newest_writes_gives_what_stood_before_them() {
    for seed in 0..200 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let queue = MemoryQueue::default();
        // One snapshot for each write that changed something.
        let mut past = vec![contents(&queue)];
        while past.len() < 60 {
            let kept = queue.state().writes_kept();
            write(&queue, &mut dice);
            if queue.state().writes_kept() > kept {
                past.push(contents(&queue));
            } else {
                assert_eq!(contents(&queue), *past.last().unwrap(), "seed {seed}");
            }
        }
        while past.len() > 1 {
            let lost = dice.usize(0..4);
            let gone = lost.min(past.len() - 1);
            assert_eq!(queue.lose_newest(lost), gone, "seed {seed}");
            past.truncate(past.len() - gone);
            assert_eq!(contents(&queue), *past.last().unwrap(), "seed {seed}");
        }
        assert_eq!(queue.lose_newest(1), 0);
    }
}

#[test]
fn only_so_many_writes_are_kept() {
    let queue = MemoryQueue::default();
    queue.claim(P, Epoch(1)).unwrap();
    for round in 0..=WRITES_KEPT_MAX / 100 {
        for id in 0..100 {
            let body = u64::try_from(round).unwrap();
            let one = [entry(id, 0, body)];
            queue.admit(P, Epoch(1), &one).unwrap();
            queue.mark(P, Epoch(1), &one).unwrap();
        }
    }
    assert_eq!(queue.lose_newest(usize::MAX), WRITES_KEPT_MAX);
    assert_eq!(queue.state().part(P).epoch, Some(Epoch(1)), "the oldest writes are safe");
}

#[test]
fn a_wipe_forgets_the_past_too() {
    let queue = MemoryQueue::default();
    queue.claim(P, Epoch(1)).unwrap();
    queue.admit(P, Epoch(1), &[entry(1, 1, 1)]).unwrap();
    queue.wipe();
    assert_eq!(queue.lose_newest(9), 0);
    assert!(contents(&queue).is_empty());
}
