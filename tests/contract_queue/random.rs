//! Random operations, the same on both queues: the same answers, whatever happens to them in between.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tollbridge::domain::id::{Epoch, Offset, Partition, TransactionId};
use tollbridge::ports::queue::{Entry, EntryKey, Queue, QueueError};
use tollbridge_rig::Cluster;

use crate::values::scan_all;
use crate::world::{Memory, Real, Together, World, runtime};

#[derive(Debug, Clone)]
enum Operation {
    Claim(Partition, Who),
    Admit(Partition, Who, Vec<Entry>),
    Settle(Partition, Who, Vec<Entry>),
    Mark(Partition, Who, Vec<Entry>),
    Remove(Partition, Who, Vec<EntryKey>),
    Missing(Partition, Who, Vec<EntryKey>),
    Scan(Partition),
    Depths,
    Wipe,
    LoseEpoch(Partition),
    Full(bool),
}

/// Whose epoch is used, seen from the last one that was claimed.
#[derive(Debug, Clone, Copy)]
enum Who {
    Before,
    Owner,
    After,
}

fn partition() -> impl Strategy<Value = Partition> {
    prop_oneof![4 => Just(Partition(0)), 1 => Just(Partition(1))]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![1 => Just(Who::Before), 18 => Just(Who::Owner), 1 => Just(Who::After)]
}

fn name() -> impl Strategy<Value = EntryKey> {
    (0..5_u8, 0..3_i64).prop_map(|(id, offset)| EntryKey {
        id: TransactionId::parse(&format!("tx{id}")).unwrap(),
        offset: Offset(offset),
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let body = proptest::collection::vec(any::<u8>(), 0..12);
    (name(), body).prop_map(|(key, body)| Entry { key, body: Bytes::from(body) })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec(entry(), 0..6)
}

fn names() -> impl Strategy<Value = Vec<EntryKey>> {
    proptest::collection::vec(name(), 0..8)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (partition(), who()).prop_map(|(p, w)| Operation::Claim(p, w)),
        12 => (partition(), who(), entries()).prop_map(|(p, w, e)| Operation::Admit(p, w, e)),
        8 => (partition(), who(), entries()).prop_map(|(p, w, e)| Operation::Settle(p, w, e)),
        6 => (partition(), who(), entries()).prop_map(|(p, w, e)| Operation::Mark(p, w, e)),
        5 => (partition(), who(), names()).prop_map(|(p, w, k)| Operation::Remove(p, w, k)),
        5 => (partition(), who(), names()).prop_map(|(p, w, k)| Operation::Missing(p, w, k)),
        4 => partition().prop_map(Operation::Scan),
        2 => Just(Operation::Depths),
        1 => Just(Operation::Wipe),
        1 => partition().prop_map(Operation::LoseEpoch),
        1 => Just(Operation::Full(true)),
        2 => Just(Operation::Full(false)),
    ]
}

/// The epochs that were claimed last. Each world has its own, so that a difference shows.
type Claimed = BTreeMap<Partition, u64>;

fn epoch(claimed: &Claimed, partition: Partition, who: Who) -> Epoch {
    let owner = claimed.get(&partition).copied().unwrap_or(5);
    Epoch(match who {
        Who::Before => owner - 1,
        Who::Owner => owner,
        Who::After => owner + 1,
    })
}

/// The answer as text; of an error, what the pipeline goes by.
fn told<T: std::fmt::Debug>(answer: Result<T, QueueError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(QueueError::Epoch { found }) => format!("epoch {found:?}"),
        Err(QueueError::Full(_)) => "full".into(),
        Err(other) => format!("unexpected: {other}"),
    }
}

async fn carry_out(world: &impl World, claimed: &mut Claimed, operation: &Operation) -> String {
    let q = world.queue();
    match operation {
        Operation::Claim(p, w) => {
            let epoch = epoch(claimed, *p, *w);
            let answer = q.claim(*p, epoch).await;
            if answer.is_ok() {
                claimed.insert(*p, epoch.0.max(1));
            }
            told(answer)
        }
        Operation::Admit(p, w, e) => told(q.admit(*p, epoch(claimed, *p, *w), e).await),
        Operation::Settle(p, w, e) => told(q.settle(*p, epoch(claimed, *p, *w), e).await),
        Operation::Mark(p, w, e) => told(q.mark(*p, epoch(claimed, *p, *w), e).await),
        Operation::Remove(p, w, k) => told(q.remove(*p, epoch(claimed, *p, *w), k).await),
        Operation::Missing(p, w, k) => told(q.missing(*p, epoch(claimed, *p, *w), k).await),
        Operation::Scan(p) => format!("{:?}", scan_all(q, *p).await),
        Operation::Depths => told(q.depths(&[Partition(0), Partition(1)]).await),
        Operation::Wipe => {
            world.wipe();
            String::new()
        }
        Operation::LoseEpoch(p) => {
            world.lose_epoch(*p);
            String::new()
        }
        Operation::Full(full) => {
            world.set_full(*full);
            String::new()
        }
    }
}

/// All answers; it starts and ends with the whole contents, bodies included.
async fn tell(world: &impl World, operations: &[Operation]) -> Vec<String> {
    world.set_full(false);
    world.wipe();
    let mut claimed = Claimed::new();
    let both = [Partition(0), Partition(1)];
    let start = both.map(|p| Operation::Claim(p, Who::Owner));
    let every_place: Vec<Entry> = (0..5)
        .flat_map(|id| (0..3).map(move |offset| crate::values::entry(ID[id], offset, "end")))
        .collect();
    let end = both.map(|p| Operation::Admit(p, Who::Owner, every_place.clone()));
    let whole = start.iter().chain(operations).chain([&Operation::Full(false)]).chain(&end);
    let mut answers = Vec::new();
    for operation in whole {
        answers.push(carry_out(world, &mut claimed, operation).await);
    }
    answers
}

const ID: [&str; 5] = ["tx0", "tx1", "tx2", "tx3", "tx4"];

#[test]
fn both_queues_answer_alike() {
    alike(&Real::alone(), 300);
}

#[test]
fn valkey_answers_alike() {
    alike(&Real::valkey_alone(), 300);
}

#[test]
fn a_cluster_answers_alike() {
    let own: Together<Cluster, Cluster> = Together::on(Cluster::start().unwrap());
    alike(&own, 150);
}

fn alike(real: &impl World, cases: u32) {
    let runtime = runtime();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let operations = proptest::collection::vec(operation(), 1..50);
    // What was seen, so that the comparison can't pass by seeing nothing.
    let seen = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    let same = |operations: Vec<Operation>| {
        let memory = runtime.block_on(tell(&Memory::default(), &operations));
        let redis = runtime.block_on(tell(real, &operations));
        prop_assert_eq!(&memory, &redis);
        for word in ["New", "InTemp", "InArchive", "OtherPlace", "Done", "Missing", "epoch", "full"]
        {
            let count = memory.iter().filter(|answer| answer.contains(word)).count();
            *seen.borrow_mut().entry(word).or_default() += count;
        }
        Ok(())
    };
    let seed = tollbridge_rig::seed();
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &tollbridge_rig::seed_bytes(seed));
    let ended = TestRunner::new_with_rng(config, dice).run(&operations, same);
    ended.unwrap_or_else(|e| panic!("SEED={seed}: {e}"));
    println!("SEED={seed}: {:?}", seen.borrow());
    assert!(seen.borrow().values().all(|count| *count >= 20), "{seen:?}");
}
