//! One transaction a commit, fenced by membership and by the producer's epoch, and clean only where nothing went
//! wrong.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tollbridge::adapters::kafka::Protocol;
use tollbridge::domain::id::{Offset, Partition};
use tollbridge::ports::publisher::{Committing, Publisher, Topic};
use tollbridge::ports::source::Source;

use crate::stage::{BOTH, Member, PATIENCE, Stage, message, point, values};

#[track_caller]
fn unclear(committing: Committing, naming: &str) {
    match committing {
        Committing::Unclear(why) => assert!(why.contains(naming), "{why}"),
        Committing::Clean => panic!("it can't have been clean"),
    }
}

async fn joined(stage: &Stage) -> Member {
    let mut member = stage.member();
    member.take_all(1).await;
    member.publisher.renew().await.unwrap();
    member
}

async fn committed(member: &Member) -> Option<(Offset, String)> {
    let mut all = member.source.committed(vec![Partition(0)]).await.unwrap();
    all.remove(0).point
}

#[tokio::test]
async fn before_the_join_there_is_nothing_to_commit_as() {
    for protocol in BOTH {
        let stage = Stage::new(protocol, 1);
        let mut member = stage.member();
        let membership = member.membership().await;
        assert_eq!(membership.generation, -1);
        assert!(membership.owned.is_empty());
        member.publisher.renew().await.unwrap();
        let early = member.publisher.commit(membership.snapshot, vec![], vec![point(0, 5, "x")]);
        unclear(early.await, "has not joined");
        assert_eq!(committed(&member).await, None);

        member.take_all(1).await;
        let membership = member.membership().await;
        assert!(membership.generation >= 0);
        let snapshot = membership.snapshot;
        let now = member.publisher.commit(snapshot, vec![], vec![point(0, 5, "x")]).await;
        assert_eq!(now, Committing::Clean);
        assert_eq!(committed(&member).await, Some((Offset(5), "x".into())));
        member.source.leave().await;
    }
}

#[tokio::test]
async fn metadata_comes_back_identical_up_to_its_limit() {
    for protocol in BOTH {
        let stage = Stage::new(protocol, 1);
        let member = joined(&stage).await;
        let full: String = (0..4096).map(|n| char::from_u32(0x4e00 + n).unwrap()).collect();
        let snapshot = member.membership().await.snapshot;
        let events = vec![message(Topic::Archived, "first")];
        let clean = member.publisher.commit(snapshot, events, vec![point(0, 7, &full)]).await;
        assert_eq!(clean, Committing::Clean);
        assert_eq!(committed(&member).await, Some((Offset(7), full.clone())));

        let events = vec![message(Topic::Archived, "aborted")];
        let longer = format!("{full}字");
        let refused = member.publisher.commit(snapshot, events, vec![point(0, 8, &longer)]).await;
        unclear(refused, "send_offsets_to_transaction");
        unclear(member.publisher.commit(snapshot, vec![], vec![point(0, 8, "")]).await, "renewed");
        assert_eq!(committed(&member).await, Some((Offset(7), full.clone())));

        member.publisher.renew().await.unwrap();
        let events = vec![message(Topic::Archived, "second")];
        let clean = member.publisher.commit(snapshot, events, vec![point(0, 9, "")]).await;
        assert_eq!(clean, Committing::Clean);
        assert_eq!(committed(&member).await, Some((Offset(9), String::new())));
        assert_eq!(values(&stage, &stage.settings.topics.archived), ["first", "second"]);
        member.source.leave().await;
    }
}

#[tokio::test]
async fn events_alone_offsets_alone_and_neither_are_commits() {
    let stage = Stage::new(Protocol::Classic, 1);
    let member = joined(&stage).await;
    let snapshot = member.membership().await.snapshot;
    let publisher = &member.publisher;
    assert_eq!(publisher.commit(snapshot, vec![], vec![]).await, Committing::Clean);
    let alert = vec![message(Topic::Alerts, "raised")];
    assert_eq!(publisher.commit(snapshot, alert, vec![]).await, Committing::Clean);
    assert_eq!(committed(&member).await, None);
    let offset = vec![point(0, 1, "m")];
    assert_eq!(publisher.commit(snapshot, vec![], offset).await, Committing::Clean);
    assert_eq!(committed(&member).await, Some((Offset(1), "m".into())));
    assert_eq!(values(&stage, &stage.settings.topics.alerts), ["raised"]);
    member.source.leave().await;
}

#[tokio::test]
async fn only_the_latest_snapshot_can_be_committed_on() {
    let stage = Stage::new(Protocol::Classic, 1);
    let member = joined(&stage).await;
    let older = member.membership().await.snapshot;
    let latest = member.membership().await.snapshot;
    for other in [older, latest + 1] {
        unclear(member.publisher.commit(other, vec![], vec![point(0, 3, "")]).await, "latest");
    }
    // The producer was not touched.
    let clean = member.publisher.commit(latest, vec![], vec![point(0, 4, "")]).await;
    assert_eq!(clean, Committing::Clean);
    assert_eq!(committed(&member).await, Some((Offset(4), String::new())));
    member.source.leave().await;
}

#[tokio::test]
async fn an_event_that_its_topic_refuses_takes_the_whole_commit_with_it() {
    let stage = Stage::new(Protocol::Classic, 1);
    let member = joined(&stage).await;
    let snapshot = member.membership().await.snapshot;
    // Random-looking, so that compression does not save it.
    let large: Vec<u8> =
        (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let events = vec![message(Topic::Archived, "beside"), message(Topic::DeadLetter, large)];
    let refused = member.publisher.commit(snapshot, events, vec![point(0, 3, "")]).await;
    unclear(refused, &stage.settings.topics.dead_letter);
    assert_eq!(committed(&member).await, None);
    member.publisher.renew().await.unwrap();
    let events = vec![message(Topic::Archived, "alone")];
    let clean = member.publisher.commit(snapshot, events, vec![point(0, 3, "")]).await;
    assert_eq!(clean, Committing::Clean);
    assert_eq!(values(&stage, &stage.settings.topics.archived), ["alone"]);
    member.source.leave().await;
}

#[tokio::test]
async fn a_new_producer_ends_what_a_dead_one_left_open() {
    let stage = Stage::new(Protocol::Classic, 1);
    let mut settings = stage.settings.clone();
    settings.transactional_id += "-dead";
    // Dies with a transaction open: nothing of it is ever ended by itself.
    let dead: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("transactional.id", &settings.transactional_id)
        .set("transaction.timeout.ms", "60000")
        .create()
        .unwrap();
    dead.init_transactions(PATIENCE).unwrap();
    dead.begin_transaction().unwrap();
    let archived = settings.topics.archived.clone();
    dead.send(BaseRecord::<(), str>::to(&archived).payload("open")).unwrap();
    dead.flush(PATIENCE).unwrap();
    std::mem::forget(dead);

    let mut member = Member::new(settings);
    member.take_all(1).await;
    let begun = Instant::now();
    member.publisher.renew().await.unwrap();
    println!("renewed over an open transaction in {:?}", begun.elapsed());
    let snapshot = member.membership().await.snapshot;
    let events = vec![message(Topic::Archived, "after")];
    let clean = member.publisher.commit(snapshot, events, vec![point(0, 1, "")]).await;
    assert_eq!(clean, Committing::Clean);
    assert_eq!(values(&stage, &archived), ["after"]);
    member.source.leave().await;
}

#[tokio::test]
async fn a_zombie_commits_nothing() {
    let stage = Stage::new(Protocol::Classic, 1);
    let mut settings = stage.settings.clone();
    let mut zombie = Member::new(settings.clone());
    zombie.take_all(1).await;
    zombie.publisher.renew().await.unwrap();
    let snapshot = zombie.membership().await.snapshot;
    let one = vec![message(Topic::Archived, "one")];
    let clean = zombie.publisher.commit(snapshot, one, vec![point(0, 1, "one")]).await;
    assert_eq!(clean, Committing::Clean);

    // The same id in another process; another group only so that the first keeps its partition.
    settings.group_id += "-other";
    let mut other = Member::new(settings);
    other.take_all(1).await;
    other.publisher.renew().await.unwrap();
    let two = vec![message(Topic::Archived, "zombie")];
    let fenced = zombie.publisher.commit(snapshot, two, vec![point(0, 2, "zombie")]).await;
    assert!(matches!(fenced, Committing::Unclear(_)), "{fenced:?}");
    assert_eq!(committed(&zombie).await, Some((Offset(1), "one".into())));

    let snapshot = other.membership().await.snapshot;
    let three = vec![message(Topic::Archived, "three")];
    let clean = other.publisher.commit(snapshot, three, vec![point(0, 3, "")]).await;
    assert_eq!(clean, Committing::Clean);
    assert_eq!(values(&stage, &stage.settings.topics.archived), ["one", "three"]);
    zombie.source.leave().await;
    other.source.leave().await;
}

#[tokio::test]
async fn five_hundred_events_take_a_moment() {
    let stage = Stage::new(Protocol::Classic, 1);
    let member = joined(&stage).await;
    let snapshot = member.membership().await.snapshot;
    let mut times = Vec::new();
    for watermark in 1..=21 {
        let events = (0..500).map(|n| message(Topic::Archived, format!("{n:0400}"))).collect();
        let begun = Instant::now();
        let clean = member.publisher.commit(snapshot, events, vec![point(0, watermark, "m")]).await;
        times.push(begun.elapsed());
        assert_eq!(clean, Committing::Clean);
    }
    times.sort();
    println!("a commit of 500 events: median {:?}, slowest {:?}", times[10], times[20]);
    // Around 20 ms; a timer that is slept out in each commit takes far more than a busy machine.
    assert!(times[10] < Duration::from_secs(5), "{times:?}");
    assert_eq!(values(&stage, &stage.settings.topics.archived).len(), 500 * 21);
    member.source.leave().await;
}
