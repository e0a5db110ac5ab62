//! The stages, in the order in which a transaction meets them.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use tollbridge::domain::answer::{Answer, Response};
use tollbridge::domain::classify::{Asked, Expected};
use tollbridge::domain::gate::{Back, Bounds, Firsts, Gate, Purpose, Word};
use tollbridge::domain::id::{Epoch, Offset, Partition, Place, RecipeHash, StoreId, TransactionId};
use tollbridge::domain::lead::Leads;
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::domain::offsets::{PlanLimits, Told, Tracker};
use tollbridge::domain::outcome::{EventId, Fate, Outcome};
use tollbridge::domain::record::Record;
use tollbridge::domain::time::{Boot, Wall};
use tollbridge::domain::transaction::{PayloadHash, Transaction};
use tollbridge::wire::events::{EventCodec, EventsFormat};
use tollbridge::wire::gateway::Profile;
use tollbridge::wire::metadata::{Metadata, fitting};
use tollbridge::wire::queue_entry::{EntryState, QueueEntry};
use tollbridge::wire::row::check_batch;
use tollbridge::wire::transaction::{Decoder, Format, confluent_frame, encode_avro, encode_json};

/// What goes through the route together where something is done once for many.
pub const BATCH: usize = 256;

/// Its name, and what takes so many transactions through it.
type Stage = (&'static str, fn(usize));

const STAGES: [Stage; 11] = [
    ("json", |times| decode(times, encode_json)),
    ("avro", |times| decode(times, |tx| confluent_frame(1, &encode_avro(tx)))),
    ("hash", hash),
    ("entry", entry),
    ("gate", gate),
    ("body", body),
    ("verdict", verdict),
    ("row", row),
    ("event", |times| event(times, EventsFormat::Json)),
    ("event_avro", |times| event(times, EventsFormat::AvroConfluent { outcome: 1, alert: 2 })),
    ("offsets", offsets),
];

pub fn names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|(name, _)| *name)
}

/// Takes so many transactions through a stage.
pub fn run(stage: &str, times: usize) {
    let (_, run) = STAGES.iter().find(|(name, _)| *name == stage).expect("a stage");
    run(times);
}

fn transaction() -> Transaction {
    Transaction {
        id: TransactionId::parse("tx-0000000000001234").unwrap(),
        account_id: "acct-00001234".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: "pm_0123456789abcdef".into(),
        created_at: Wall(1_790_000_000_000_000),
        description: Some("Two cups of tea".into()),
        metadata: [("order".to_owned(), "99-1234".to_owned())].into(),
    }
}

fn place() -> Place {
    Place { topic: "transactions".into(), partition: Partition(3), offset: Offset(1_234_567) }
}

fn record(value: Vec<u8>) -> Record {
    Record {
        offset: Offset(1_234_567),
        key: Some(Bytes::from_static(b"acct-00001234")),
        value: Some(value.into()),
        headers: Vec::new(),
        timestamp_ms: Some(1_790_000_000_000),
    }
}

/// A record's bytes to a transaction that keeps every rule.
fn decode(times: usize, encode: fn(&Transaction) -> Vec<u8>) {
    let decoder = Decoder::new(Format::Auto, None, 1_000_000).unwrap();
    let record = record(encode(&transaction()));
    (0..times).for_each(|_| drop(black_box(decoder.decode(black_box(&record)).unwrap())));
}

/// What tells one payload from another under the same id.
fn hash(times: usize) {
    let tx = transaction();
    (0..times).for_each(|_| _ = black_box(PayloadHash::of(black_box(&tx))));
}

fn waiting() -> QueueEntry {
    let transaction = transaction();
    QueueEntry {
        payload_hash: PayloadHash::of(&transaction),
        transaction: Arc::new(transaction),
        admitted_at: Wall(1_790_000_000_100_000),
        recipe: RecipeHash(7),
        epoch: Epoch(1_000),
        attempts: 0,
        state: EntryState::Waiting,
    }
}

/// Written for the temp queue, and for the archive queue; neither is read again where nothing dies.
fn entry(times: usize) {
    let waiting = waiting();
    let decided_at = Wall(1_790_000_000_200_000);
    let state = EntryState::Approved { gateway_id: "ch_0000000000001234".into(), decided_at };
    let approved = QueueEntry { attempts: 1, state, ..waiting.clone() };
    for _ in 0..times {
        drop(black_box(black_box(&waiting).encode()));
        drop(black_box(black_box(&approved).encode()));
    }
}

/// May it leave, it leaves, it is back.
fn gate(times: usize) {
    let bounds = Bounds {
        in_flight_max: 256,
        is_adaptive: true,
        rate_limit: None,
        retry_percent: 10,
        failures_max: 20,
    };
    let mut gate = Gate::new(bounds, Boot(0));
    for batch in 0..times / BATCH {
        let left = Boot(batch as u64 * 50_000);
        let now = Boot(left.0 + 50_000);
        let calls: Vec<_> = (0..BATCH)
            .map(|_| {
                black_box(gate.room_for_repeats(Firsts::Ready, left));
                assert!(gate.room(left) > 0, "as many as are allowed at once");
                gate.leave(Purpose::First, left)
            })
            .collect();
        for call in calls {
            let back = Back { word: Word::Told, after: None, heard_at: now, now, dice: 0.5 };
            gate.came_back(call, black_box(back));
        }
    }
}

/// What the gateway is sent.
fn body(times: usize) {
    let (profile, tx) = (Profile::generic(), transaction());
    (0..times).for_each(|_| drop(black_box(profile.charge_body(black_box(&tx)))));
}

/// What it answered.
fn verdict(times: usize) {
    let (profile, tx) = (Profile::generic(), transaction());
    let body = format!(
        r#"{{"id":"ch_0000000000001234","status":"approved","transaction_id":"{}","amount":1250,"currency":"EUR"}}"#,
        tx.id
    );
    let response = Response { status: 200, replayed: false, retry_after: None, body: body.into() };
    let answer = Answer::Response(response);
    let expected = Expected::from(&tx);
    let first = Asked::Charge { first: true };
    for _ in 0..times {
        let verdict = profile.verdict(first, &expected, black_box(&answer));
        assert!(matches!(
            black_box(verdict),
            tollbridge::domain::classify::Verdict::Approved { .. }
        ));
    }
}

fn outcome(id: usize) -> Outcome {
    let tx = transaction();
    let payload_hash = PayloadHash::of(&tx);
    Outcome {
        event_id: EventId::of(&place(), &payload_hash),
        fate: Fate::Archived,
        transaction_id: TransactionId::parse(&format!("tx-{id:016}")).unwrap(),
        account_id: tx.account_id,
        amount: tx.amount,
        currency: tx.currency,
        gateway_id: Some("ch_0000000000001234".into()),
        code: None,
        attempts: 1,
        source: place(),
        payload_hash,
        created_at: tx.created_at,
        admitted_at: Wall(1_790_000_000_100_000),
        decided_at: Some(Wall(1_790_000_000_200_000)),
        stored_at: Some(Wall(1_790_000_000_300_000)),
    }
}

/// Whether every store can keep it.
fn row(times: usize) {
    // In the order of a hash map, more or less: as the queue gives them.
    let rows: Vec<Arc<Outcome>> = (0..BATCH).map(|i| Arc::new(outcome(i * 167 % BATCH))).collect();
    (0..times / BATCH).for_each(|_| check_batch(black_box(&rows)).unwrap());
}

/// What others are told, with the event's id.
fn event(times: usize, format: EventsFormat) {
    let codec = EventCodec::new(format, "tollbridge");
    let mut outcome = outcome(0);
    let source = record(encode_json(&transaction()));
    for _ in 0..times {
        outcome.event_id = EventId::of(black_box(&outcome.source), &outcome.payload_hash);
        drop(black_box(codec.outcome(&outcome, Some(black_box(&source)))));
    }
}

/// Read, attempted, and told to Kafka with every other one of the batch before still unfinished.
fn offsets(times: usize) {
    const CAP_CHARS: usize = 1_365;
    let told = Told::nothing(Offset(0));
    let mut tracker = Tracker::inherit(told);
    let leads = Some(Leads { least: 256, most: 4_096 });
    let limits = PlanLimits { leads, minute: 29_833_333 };
    let mut late: Vec<Offset> = Vec::new();
    let publish = |tracker: &mut Tracker, ready: &[Offset]| {
        let fit = |first: Offset, left: &[Offset]| fitting(first, left.iter().copied(), CAP_CHARS);
        let plan = tracker.plan(ready, tracker.frontier(), limits, fit);
        let Told { watermark, cut, unfinished, bound, marks, forgotten } = plan.told.clone();
        let (epoch, store, recipe) = (Epoch(1_000), StoreId([7; 16]), RecipeHash(7));
        let metadata = Metadata {
            cut,
            unfinished,
            bound,
            marks,
            epoch,
            store,
            recipe,
            topic: None,
            forgotten,
        };
        drop(black_box(metadata.encode(watermark)));
        tracker.tell(&plan);
    };
    publish(&mut tracker, &[]);
    for batch in 0..times / BATCH {
        let first = (batch * BATCH) as i64;
        let these: Vec<Offset> = (first..first + BATCH as i64).map(Offset).collect();
        for offset in &these {
            assert!(tracker.read(*offset), "a new one");
            tracker.attempt(*offset);
        }
        let (even, odd): (Vec<Offset>, Vec<Offset>) = these.into_iter().partition(|o| o.0 % 2 == 0);
        let ready = [std::mem::replace(&mut late, odd), even].concat();
        publish(&mut tracker, &ready);
    }
}
