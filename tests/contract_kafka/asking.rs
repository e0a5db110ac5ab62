//! What `check-config`, `reconcile` and `generate` ask, without being members.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tollbridge::adapters::kafka::{
    Admin, AskError, ConnectError, NewTopic, Protocol, Settings, TopicLimits, check, connect,
};
use tollbridge::domain::id::{Offset, Partition};
use tollbridge_rig::{free_port, wait_until};

use crate::stage::{PATIENCE, Stage, next_number, numbers};

#[tokio::test]
async fn topics_and_limits_are_told() {
    let stage = Stage::new(Protocol::Classic, 3);
    let admin = Admin::new(&stage.settings).unwrap();
    assert_eq!(admin.brokers().unwrap(), 1);
    assert_eq!(admin.offset_metadata_max().await.unwrap(), Some(4096));

    let name = format!("made-{}", next_number());
    let wanted = NewTopic {
        name: name.clone(),
        partitions: 2,
        replication: 1,
        config: BTreeMap::from([("retention.ms".into(), "3600000".into())]),
    };
    let wanted = [wanted];
    assert_eq!(admin.create_topics(&wanted).await.unwrap(), std::slice::from_ref(&name));
    assert!(admin.create_topics(&wanted).await.unwrap().is_empty());
    let limits = limits_of_a_new_topic(&admin, &name).await;
    assert_eq!(limits.retention_ms, Some(3_600_000));
    assert_eq!(limits.cleanup_policy.as_deref(), Some("delete"));
    assert_eq!(limits.max_message_bytes, Some(1_048_588));
    assert_eq!(limits.compression_type.as_deref(), Some("producer"));
    assert_eq!(limits.timestamp_type.as_deref(), Some("CreateTime"));
    let limits = admin.limits(&stage.settings.topics.dead_letter).await.unwrap();
    assert_eq!(limits.max_message_bytes, Some(2000));

    let known = admin.partitions(&[stage.topic(), "no-such-topic"]).unwrap();
    assert_eq!(known[stage.topic()], Some(3));
    assert_eq!(known["no-such-topic"], None);
    let missing = stage.reader().partitions("no-such-topic");
    assert!(matches!(missing, Err(AskError::Permanent(_))), "{missing:?}");
    // One that is not there costs nobody else's answer.
    let asked = ["no-such-topic", &stage.settings.topics.dead_letter];
    let [missing, known] = admin.limits_of(asked).await.unwrap();
    assert!(matches!(missing, Err(AskError::Permanent(_))), "{missing:?}");
    assert_eq!(known.unwrap(), limits);
}

#[tokio::test]
async fn what_stands_before_an_offset_is_deleted_and_nothing_else() {
    let stage = Stage::new(Protocol::Classic, 3);
    stage.feed(0, numbers(0, 10));
    stage.feed(2, numbers(0, 5));
    let admin = Admin::new(&stage.settings).unwrap();
    let ends = BTreeMap::from([(Partition(0), Offset(4)), (Partition(2), Offset(5))]);
    for _ in 0..2 {
        assert_eq!(admin.delete_before(stage.topic(), &ends).await.unwrap(), ends);
    }
    let reader = stage.reader();
    let bounds = |partition| reader.watermarks(stage.topic(), Partition(partition)).unwrap();
    assert_eq!([0, 2].map(bounds), [(Offset(4), Offset(10)), (Offset(5), Offset(5))]);
    let beyond = BTreeMap::from([(Partition(2), Offset(6))]);
    let refused = admin.delete_before(stage.topic(), &beyond).await;
    let says = refused.unwrap_err().to_string();
    assert!(says.contains("/2: OffsetOutOfRange"), "{says}");
}

/// The controller has made it; the broker that answers may hear of it a moment later.
async fn limits_of_a_new_topic(admin: &Admin, name: &str) -> TopicLimits {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(limits) = admin.limits(name).await {
            return limits;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admin.limits(name).await.unwrap()
}

#[tokio::test]
async fn a_topic_is_read_to_where_it_ended_when_asked() {
    let stage = Stage::new(Protocol::Classic, 3);
    stage.feed(0, numbers(0, 3000));
    stage.feed(2, numbers(0, 5));
    let reader = stage.reader();
    for _ in 0..2 {
        let mut seen = BTreeMap::<Partition, Vec<i64>>::new();
        let mut late = false;
        reader
            .read_topic(stage.topic(), |partition, record| {
                seen.entry(partition).or_default().push(record.offset.0);
                if !std::mem::replace(&mut late, true) {
                    stage.feed(2, numbers(0, 1));
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen[&Partition(0)], (0..3000).collect::<Vec<_>>());
        assert!(seen[&Partition(2)].len() >= 5);
        assert!(!seen.contains_key(&Partition(1)));
    }
    let mut seen = 0;
    reader
        .read_topic(stage.topic(), |_, _| {
            seen += 1;
            if seen == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(seen, 10);
    assert_eq!(reader.watermarks(stage.topic(), Partition(2)).unwrap(), (Offset(0), Offset(7)));
    let offsets = reader.group_offsets(stage.topic(), &[Partition(0)]).unwrap();
    assert_eq!(offsets, [(Partition(0), None)]);
}

#[tokio::test]
async fn an_open_transaction_holds_the_end_back() {
    let stage = Stage::new(Protocol::Classic, 1);
    stage.feed(0, numbers(0, 3));
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &stage.settings.brokers)
        .set("transactional.id", &stage.settings.transactional_id)
        .create()
        .unwrap();
    let wait = PATIENCE;
    producer.init_transactions(wait).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to(stage.topic()).payload("open")).unwrap();
    producer.flush(wait).unwrap();
    stage.feed(0, numbers(3, 5));
    let reader = stage.reader();
    let end = || reader.watermarks(stage.topic(), Partition(0)).unwrap().1;
    assert_eq!(end(), Offset(3));
    producer.abort_transaction(wait).unwrap();
    // The record, two more, and the end marker.
    wait_until("the end to be told", wait, || end() == Offset(7)).unwrap();
    let mut seen = Vec::new();
    reader
        .read_topic(stage.topic(), |_, record| {
            seen.push(record.offset.0);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, [0, 1, 2, 4, 5], "what was aborted is not there");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_said_so_in_time() {
    let mut stage = Stage::new(Protocol::Classic, 1);
    stage.settings.brokers = format!("127.0.0.1:{}", free_port());
    stage.settings.request_timeout = Duration::from_secs(1);
    let begun = Instant::now();
    let brokers = Admin::new(&stage.settings).unwrap().brokers();
    assert!(matches!(brokers, Err(AskError::Transient(_))), "{brokers:?}");
    let partitions = stage.reader().committed("transactions", &[Partition(0)]);
    assert!(matches!(partitions, Err(AskError::Transient(_))), "{partitions:?}");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_wrong_property_is_named() {
    let mut stage = Stage::new(Protocol::Classic, 1);
    stage.settings.properties.insert("no.such.property".into(), "1".into());
    assert!(matches!(check(&stage.settings), Err(ConnectError::Property { .. })));
    let (events, _told) = tokio::sync::mpsc::unbounded_channel();
    match connect(stage.settings, events) {
        Err(ConnectError::Property { property, .. }) => assert_eq!(property, "no.such.property"),
        other => panic!("{:?}", other.map(|_| "connected")),
    }

    // Refused only in company.
    let mut stage = Stage::new(Protocol::Classic, 1);
    check(&stage.settings).unwrap();
    let equal = stage.settings.transaction_timeout;
    check(&Settings { request_timeout: equal, ..stage.settings.clone() }).unwrap();
    let longer = Settings { request_timeout: equal * 2, ..stage.settings.clone() };
    let refused = check(&longer);
    assert!(matches!(&refused, Err(ConnectError::Client(_))), "{refused:?}");
    stage.settings.properties.insert("message.timeout.ms".into(), "3600000".into());
    let refused = check(&stage.settings);
    assert!(matches!(&refused, Err(ConnectError::Client(_))), "{refused:?}");
}
