//! Any sequence of calls has the same answers from every store.

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tollbridge::domain::id::{Offset, Partition};
use tollbridge::domain::outcome::{Fate, NOT_CHARGED, Outcome};
use tollbridge::domain::resolution::{Finding, Resolution};
use tollbridge::domain::time::Wall;
use tollbridge::ports::store::{ResolveError, SourceStart};

use crate::outcomes::{batch, id, outcome, with};
use crate::subject::{Subject, all};

#[derive(Debug, Clone)]
enum Call {
    Store(Vec<Row>),
    Ask(Vec<u8>),
    Resolve {
        id: u8,
        charged: bool,
        by: u8,
    },
    /// Where partitions of a topic begin; the first word on each stands.
    Begin {
        topic: u8,
        starts: Vec<(i32, i64)>,
    },
}

/// A row of one of a few ids, at one of a few places, so that they meet.
#[derive(Debug, Clone)]
struct Row {
    id: u8,
    fate: Fate,
    code: Option<&'static str>,
    partition: i32,
    offset: i64,
}

const IDS: u8 = 6;

fn row() -> impl Strategy<Value = Row> {
    let fate = prop_oneof![
        6 => Just(Fate::Archived),
        3 => Just(Fate::Declined),
        5 => Just(Fate::InDoubt),
        1 => Just(Fate::Rejected),
    ];
    let code = prop_oneof![Just(None), Just(Some("no_funds")), Just(Some(NOT_CHARGED))];
    (0..IDS, fate, code, 0..2, 0..2_i64).prop_map(|(id, fate, code, partition, offset)| Row {
        id,
        fate,
        code,
        partition,
        offset,
    })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => prop::collection::vec(row(), 1..5).prop_map(Call::Store),
        2 => prop::collection::vec(0..IDS, 0..4).prop_map(Call::Ask),
        2 => (0..IDS, any::<bool>(), 0..2_u8)
            .prop_map(|(id, charged, by)| Call::Resolve { id, charged, by }),
        1 => (0..2_u8, prop::collection::vec((0..3, 0..4_i64), 0..4))
            .prop_map(|(topic, starts)| Call::Begin { topic, starts }),
    ]
}

/// What a store answered, without the texts of errors.
async fn answer(subject: &Subject, case: u32, at: i64, call: &Call) -> String {
    let name = |n: &u8| format!("c{case}-{n}");
    match call {
        Call::Store(rows) => {
            let outcomes = rows.iter().zip(0..).map(|(row, n)| {
                let base = outcome(name(&row.id), row.partition, row.offset);
                let base = Outcome { stored_at: Some(Wall(at * 100 + n)), ..base };
                with(row.fate, row.code, base)
            });
            let answer = subject.store(&batch(outcomes)).await;
            format!("{:?}", answer.map_err(|error| std::mem::discriminant(&error)))
        }
        Call::Begin { topic, starts } => {
            let (group, topic) = (format!("g{case}"), format!("t{topic}"));
            let start = |(partition, start): &(i32, i64)| SourceStart {
                group: group.clone(),
                topic: topic.clone(),
                partition: Partition(*partition),
                start: Offset(*start),
            };
            subject.add_sources(&starts.iter().map(start).collect::<Vec<_>>()).await;
            let mut all = subject.sources(&group, &topic).await;
            all.sort_by_key(|source| source.partition);
            format!("{all:?}")
        }
        Call::Ask(numbers) => {
            let ids: Vec<_> = numbers.iter().map(|n| id(name(n))).collect();
            format!("{:?}", subject.ask_in_order(&deduplicated(ids)).await)
        }
        Call::Resolve { id: n, charged, by } => {
            let finding = match charged {
                true => Finding::Charged { gateway_id: format!("ch_{by}") },
                false => Finding::NotCharged,
            };
            let resolution =
                Resolution { id: id(name(n)), finding, by: format!("person {by}"), at: Wall(at) };
            match subject.resolve(&resolution).await {
                Ok(resolved) => format!("{resolved:?}"),
                Err(ResolveError::Refused(refusal)) => format!("{refusal:?}"),
                Err(ResolveError::Store(error)) => panic!("{error}"),
            }
        }
    }
}

fn deduplicated<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values.dedup();
    values
}

#[test]
fn any_sequence_has_the_same_answers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let subjects = runtime.block_on(all());
    let case = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() };
    let seed = tollbridge_rig::seed();
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &tollbridge_rig::seed_bytes(seed));
    let mut runner = TestRunner::new_with_rng(config, dice);
    let calls = prop::collection::vec(call(), 1..20);
    let outcome = runner.run(&calls, |calls| {
        case.set(case.get() + 1);
        for (call, at) in calls.iter().zip(1..) {
            let mut answers = Vec::new();
            for subject in &subjects {
                answers.push(runtime.block_on(answer(subject, case.get(), at, call)));
            }
            for (subject, other) in subjects.iter().zip(&answers).skip(1) {
                prop_assert_eq!(other, &answers[0], "{}", subject.name());
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("SEED={seed}: {why}"));
    let rows = runtime.block_on(subjects[0].rows(crate::outcomes::TOPIC));
    assert!(rows.len() > 48, "the sequences must store something: {}", rows.len());
    for subject in &subjects[1..] {
        assert!(runtime.block_on(subject.rows(crate::outcomes::TOPIC)) == rows);
    }
}
