//! Offsets are explicit, demand is exact, ends are told, and a rewind leaves nothing of before it.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tollbridge::adapters::kafka::{Feed, Feeder, Protocol};
use tollbridge::domain::id::{Offset, Partition, Version};
use tollbridge::domain::record::Header;
use tollbridge::ports::publisher::{Committing, Publisher, Topic};
use tollbridge::ports::source::{Source, SourceEvent, Start};
use tollbridge_rig::shared_kafka;

use crate::stage::{BOTH, Member, PATIENCE, Stage, message, numbers, offsets, start};

const QUIET: Duration = Duration::from_millis(400);

#[tokio::test]
async fn demand_is_respected_exactly_under_both_protocols() {
    for protocol in BOTH {
        let stage = Stage::new(protocol, 1);
        stage.feed(0, numbers(0, 3000));
        let mut member = stage.member();
        let (ticket, partitions) = member.assigned().await;
        assert_eq!(partitions, [Partition(0)]);

        let committed = member.source.committed(partitions).await.unwrap();
        assert_eq!(committed[0].point, None);
        assert_eq!((committed[0].low, committed[0].high), (Offset(0), Offset(3000)));

        member.source.assign(ticket, vec![start(0, 1, 7)]);
        member.silence(QUIET).await;
        member.demand(0, 1, 5);
        assert_eq!(offsets(&member.records(0, 1, 5).await), [7, 8, 9, 10, 11]);
        member.silence(QUIET).await;

        // Replaces what is left of the last demand; a larger one comes in several events.
        member.demand(0, 1, 2);
        assert_eq!(offsets(&member.records(0, 1, 2).await), [12, 13]);
        member.demand(0, 1, 2500);
        let many = member.records(0, 1, 2500).await;
        assert_eq!(offsets(&many), (14..2514).collect::<Vec<_>>());
        member.silence(QUIET).await;

        member.demand(0, 1, 10_000);
        let rest = member.records(0, 1, 486).await;
        assert_eq!(rest.last().unwrap().value.as_deref(), Some(&b"2999"[..]));
        assert_eq!(member.end(0).await, Offset(3000));

        // What comes later comes under the same demand.
        stage.feed(0, numbers(3000, 3002));
        assert_eq!(offsets(&member.records(0, 1, 2).await), [3000, 3001]);
        member.source.leave().await;
    }
}

/// A request for each record would cost the broker more than the record does.
#[tokio::test]
async fn what_trickles_in_is_fetched_ten_milliseconds_worth_at_a_time() {
    let values: Vec<_> = numbers(0, 100).collect();
    let count = values.len();
    let stage = Stage::new(Protocol::Classic, 1);
    let feeder = Feeder::new(&stage.settings).unwrap();
    // Until it is connected everything would wait.
    stage.feed_by(&feeder, 0, numbers(0, 1));
    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 2 * count);
    assert_eq!(member.end(0).await, Offset(1));

    let feeding = thread::spawn(move || {
        let began = Instant::now();
        for value in values {
            stage.send_by(&feeder, 0, &value);
            // Longer than the feeder waits for company.
            thread::sleep(Duration::from_millis(4));
        }
        feeder.flush().unwrap();
        began.elapsed()
    });
    let (mut pieces, mut records) = (0, 0);
    while records < count {
        if let SourceEvent::Records { records: piece, .. } = member.next().await {
            pieces += 1;
            records += piece.len();
        }
    }
    let took = feeding.join().unwrap();
    let most = took.as_millis() / 8 + 5;
    assert!(pieces <= most, "{count} records within {took:?} came in {pieces} pieces");
    member.source.leave().await;
}

#[tokio::test]
async fn a_record_comes_as_it_stands_there() {
    let stage = Stage::new(Protocol::Classic, 1);
    let feeder = Feeder::new(&stage.settings).unwrap();
    let headers = [
        Header { name: "a".into(), value: Some(Bytes::from_static(b"\x00\xff")) },
        Header { name: "a".into(), value: None },
        Header { name: "b".into(), value: Some(Bytes::new()) },
    ];
    let full = Feed {
        topic: stage.topic(),
        partition: Some(Partition(0)),
        key: Some(b"key\x00"),
        value: Some(b"value"),
        headers: &headers,
        timestamp_ms: Some(1_700_000_000_123),
    };
    let bare = Feed { key: None, value: None, headers: &[], ..full };
    let empty = Feed { key: Some(b""), value: Some(b""), headers: &[], ..full };
    for feed in [full, bare, empty] {
        feeder.send(&feed).unwrap();
    }
    feeder.flush().unwrap();

    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 3);
    let records = member.records(0, 1, 3).await;
    assert_eq!(records[0].key.as_deref(), Some(&b"key\x00"[..]));
    assert_eq!(records[0].value.as_deref(), Some(&b"value"[..]));
    assert_eq!(records[0].headers, headers);
    assert_eq!(records[0].timestamp_ms, Some(1_700_000_000_123));
    assert_eq!((&records[1].key, &records[1].value), (&None, &None));
    assert_eq!(records[2].key.as_deref(), Some(&b""[..]));
    assert_eq!(records[2].value.as_deref(), Some(&b""[..]));
    member.source.leave().await;
}

#[tokio::test]
async fn the_end_stands_behind_control_records() {
    let stage = Stage::new(Protocol::Classic, 1);
    // A publisher whose events go to the topic that is read.
    let mut settings = stage.settings.clone();
    settings.group_id += "-other";
    settings.topics.archived = stage.topic().to_owned();
    let other = Member::new(settings);
    other.publisher.renew().await.unwrap();

    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 100);
    assert_eq!(member.end(0).await, Offset(0));
    let snapshot = other.membership().await.snapshot;
    let committed =
        other.publisher.commit(snapshot, vec![message(Topic::Archived, "one")], vec![]).await;
    assert_eq!(committed, Committing::Clean);
    assert_eq!(offsets(&member.records(0, 1, 1).await), [0]);
    assert_eq!(member.end(0).await, Offset(2), "offset 1 is the transaction's end marker");
    let bounds = member.source.committed(vec![Partition(0)]).await.unwrap();
    assert_eq!(bounds[0].high, Offset(2));
    member.source.leave().await;
    other.source.leave().await;
}

#[tokio::test]
async fn a_rewind_leaves_nothing_of_before_it() {
    let stage = Stage::new(Protocol::Classic, 1);
    stage.feed(0, numbers(0, 5000));
    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 50);
    assert_eq!(offsets(&member.records(0, 1, 50).await), (0..50).collect::<Vec<_>>());
    for version in 2..40 {
        let from = i64::try_from((version * 997) % 4900).unwrap();
        member.source.rewind(start(0, version, from));
        // Of the assignment before: not for this one.
        member.demand(0, version - 1, 1000);
        member.demand(0, version, 60);
        let records = member.records(0, version, 60).await;
        assert_eq!(offsets(&records), (from..from + 60).collect::<Vec<_>>());
    }
    member.silence(QUIET).await;
    member.source.leave().await;
}

#[tokio::test]
async fn an_offset_that_is_gone_stops_the_partition_until_it_is_rewound() {
    for protocol in BOTH {
        let stage = Stage::new(protocol, 2);
        stage.feed(0, numbers(0, 10));
        stage.feed(1, numbers(0, 10));
        let mut member = stage.member();
        let (ticket, _) = member.assigned().await;
        member.source.assign(ticket, vec![start(0, 1, 500), start(1, 1, 0)]);
        member.demand(0, 1, 10);
        let SourceEvent::Stopped { partition, version, why } = member.next().await else {
            panic!("it should have stopped");
        };
        assert_eq!((partition, version), (Partition(0), Version(1)));
        assert!(why.contains("500"), "{why}");
        member.silence(QUIET).await;

        // The other partition goes on, and so does this one once it has a place to go on from.
        member.demand(1, 1, 3);
        assert_eq!(offsets(&member.records(1, 1, 3).await), [0, 1, 2]);
        member.source.rewind(start(0, 2, 4));
        member.demand(0, 2, 3);
        assert_eq!(offsets(&member.records(0, 2, 3).await), [4, 5, 6]);
        member.source.leave().await;
    }
}

/// The offsets of a topic of the same name are others, also where there are as many. Members of the newer protocol are
/// told so by the group, which takes the partition away; those of the classic one by nobody.
#[tokio::test]
async fn a_topic_that_is_made_anew_stops_what_was_read_of_the_old_one() {
    let stage = Stage::new(Protocol::Classic, 1);
    let mut member = stage.member();
    let (ticket, _) = member.assigned().await;
    let topic =
        async |member: &Member| member.source.committed(vec![Partition(0)]).await.unwrap()[0].topic;
    let old = topic(&member).await;
    member.source.assign(ticket, vec![Start { topic: old, ..start(0, 1, 0) }]);
    let kafka = shared_kafka();
    kafka.delete_topic(stage.topic()).unwrap();
    // It is refused for as long as the old one is still being deleted.
    while kafka.create_topic(stage.topic(), 1).is_err() {
        tokio::time::sleep(QUIET).await;
    }
    stage.feed(0, numbers(0, 10));
    let SourceEvent::Stopped { partition, version, why } = member.next().await else {
        panic!("it should have stopped");
    };
    assert_eq!((partition, version), (Partition(0), Version(1)));
    assert!(why.contains("made anew"), "{why}");

    let new = topic(&member).await;
    assert!(old.is_some() && new.is_some() && old != new, "{old:?} {new:?}");
    member.source.rewind(Start { topic: new, ..start(0, 2, 0) });
    member.demand(0, 2, 3);
    assert_eq!(offsets(&member.records(0, 2, 3).await), [0, 1, 2]);
    member.silence(QUIET).await;
    member.source.leave().await;
}

#[tokio::test]
async fn a_partition_left_out_of_the_answer_can_begin_later() {
    let stage = Stage::new(Protocol::Classic, 2);
    stage.feed(1, numbers(0, 10));
    let mut member = stage.member();
    let (ticket, _) = member.assigned().await;
    member.source.assign(ticket, vec![start(0, 1, 0)]);
    member.demand(1, 1, 5);
    member.silence(QUIET).await;
    member.source.rewind(start(1, 2, 6));
    member.demand(1, 2, 3);
    assert_eq!(offsets(&member.records(1, 2, 3).await), [6, 7, 8]);
    member.source.leave().await;
}

/// A few kilobytes that unpack to more than a reader may hold.
#[tokio::test]
async fn a_batch_that_unpacks_past_its_bound_stops_the_partition() {
    let stage = Stage::new(Protocol::Classic, 1);
    stage.feed(0, numbers(0, 3));
    feed_one_batch(&stage, "zstd", 100);

    let mut member = stops_at_the_batch(&stage).await;
    member.silence(QUIET).await;
    member.source.leave().await;
}

/// Where the topic packs all with zstd, that holds for whatever producers send.
#[tokio::test]
async fn a_topic_that_packs_with_zstd_bounds_what_other_codecs_unpack_to() {
    let mut stage = Stage::new(Protocol::Classic, 1);
    stage.settings.topics.transactions += "-zstd";
    let packed = [("compression.type", "zstd")];
    shared_kafka().create_topic_with(stage.topic(), 1, &packed).unwrap();
    stage.feed(0, numbers(0, 3));
    feed_one_batch(&stage, "gzip", 100);

    let member = stops_at_the_batch(&stage).await;
    member.source.leave().await;
}

/// A member that has read the three records before a batch, and stopped there.
async fn stops_at_the_batch(stage: &Stage) -> Member {
    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 50);
    assert_eq!(offsets(&member.records(0, 1, 3).await), [0, 1, 2]);
    let SourceEvent::Stopped { why, .. } = member.next().await else {
        panic!("it should have stopped");
    };
    assert!(why.contains("at offset 3"), "{why}");
    member
}

/// The other codecs have no bound but the size of the batch: however much it unpacks to, all of it is read. For snappy,
/// 15 MB of zeros are nearly all that the topic accepts.
#[tokio::test]
async fn a_batch_of_another_codec_is_read_however_much_it_unpacks_to() {
    for (codec, megabytes) in [("gzip", 100), ("lz4", 100), ("snappy", 15)] {
        let stage = Stage::new(Protocol::Classic, 1);
        feed_one_batch(&stage, codec, megabytes);
        stage.feed(0, numbers(0, 3));
        let mut member = stage.member();
        member.take_all(1).await;
        member.demand(0, 1, 1000);
        let records = member.records(0, 1, megabytes + 3).await;
        let end = i64::try_from(megabytes).unwrap() + 3;
        assert_eq!(offsets(&records), (0..end).collect::<Vec<_>>(), "{codec}");
        let lengths = records.iter().map(|record| record.value.as_ref().unwrap().len());
        assert_eq!(lengths.sum::<usize>(), megabytes * 1_000_000 + 3, "{codec}");
        member.source.leave().await;
    }
}

/// So many megabytes of zeros, in one batch.
fn feed_one_batch(stage: &Stage, codec: &str, megabytes: usize) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &stage.settings.brokers)
        .set("compression.type", codec)
        .set("message.max.bytes", "1000000000")
        .set("batch.size", "1000000000")
        .set("queue.buffering.max.kbytes", "2000000")
        .set("linger.ms", "2000")
        .create()
        .unwrap();
    let zeros = vec![0; 1_000_000];
    for _ in 0..megabytes {
        let record = BaseRecord::<(), [u8]>::to(stage.topic()).partition(0).payload(&zeros);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}
