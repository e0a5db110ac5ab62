//! Brokers that can't be reached: a lost session, a commit into the void, and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tollbridge::adapters::kafka::Protocol;
use tollbridge::domain::id::{Offset, Partition};
use tollbridge::ports::publisher::{Committing, Publisher, Topic};
use tollbridge::ports::source::{Source, SourceError, SourceEvent};
use tollbridge_rig::{Direction, Kafka, KafkaOptions};

use crate::stage::{Member, PATIENCE, Stage, message, numbers, offsets, point, values};

fn proxied() -> Kafka {
    Kafka::start_with(KafkaOptions { proxied: true, ..KafkaOptions::default() }).unwrap()
}

#[tokio::test]
async fn a_session_that_runs_out_is_lost_and_begins_again() {
    let kafka = proxied();
    let mut stage = Stage::on(&kafka, kafka.proxied_bootstrap(), Protocol::Classic, 1);
    stage.settings.session_timeout = Duration::from_secs(15);
    stage.settings.transaction_timeout = Duration::from_secs(12);
    stage.settings.request_timeout = Duration::from_secs(10);
    stage.feed(0, numbers(0, 3));
    let mut member = stage.member();
    member.take_all(1).await;
    member.renewed().await;
    member.demand(0, 1, 100);
    member.records(0, 1, 3).await;
    let before = member.membership().await;

    kafka.proxy().black_hole();
    let begun = Instant::now();
    let events = vec![message(Topic::Archived, "void")];
    let void = member.publisher.commit(before.snapshot, events, vec![point(0, 3, "void")]).await;
    assert!(matches!(void, Committing::Unclear(_)), "{void:?}");
    // Produce gives up after half the request timeout, aborting after as long again.
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    let unknown = member.source.committed(vec![Partition(0)]).await;
    assert!(matches!(unknown, Err(SourceError::Transient(_))), "{unknown:?}");

    let (ticket, partitions, lost) = member.revoked().await;
    assert_eq!((partitions, lost), (vec![Partition(0)], true));
    assert!(member.membership().await.owned.is_empty());
    kafka.proxy().pass();
    member.source.release(ticket);
    member.take_all(2).await;
    let after = member.membership().await;
    assert!(after.generation >= 0 && after.member_id != before.member_id);

    member.renewed().await;
    let stale = member.publisher.commit(before.snapshot, vec![], vec![point(0, 9, "")]).await;
    assert!(matches!(stale, Committing::Unclear(_)), "{stale:?}");
    let clean = member.publisher.commit(after.snapshot, vec![], vec![point(0, 2, "back")]).await;
    assert_eq!(clean, Committing::Clean);
    let committed = member.source.committed(vec![Partition(0)]).await.unwrap();
    assert_eq!(committed[0].point, Some((Offset(2), "back".into())));
    member.demand(0, 2, 3);
    assert_eq!(offsets(&member.records(0, 2, 3).await), [0, 1, 2]);
    member.source.leave().await;
}

#[tokio::test]
async fn trouble_is_told_and_called_over() {
    let kafka = proxied();
    let stage = Stage::on(&kafka, kafka.proxied_bootstrap(), Protocol::Classic, 1);
    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 10);
    assert_eq!(member.end(0).await, Offset(0));
    kafka.proxy().cut();
    loop {
        if let SourceEvent::Trouble(Some(why)) = member.event().await {
            println!("trouble: {why}");
            break;
        }
    }
    kafka.proxy().pass();
    loop {
        if let SourceEvent::Trouble(None) = member.event().await {
            break;
        }
    }
    stage.feed(0, numbers(0, 1));
    assert_eq!(offsets(&member.records(0, 1, 1).await), [0]);
    member.source.leave().await;
}

/// The answer that tells a member to give a partition up is lost. librdkafka then asks again in a way that is not
/// answered with what was missed, and the brokers wait for `max.poll.interval.ms`.
#[tokio::test]
async fn an_assignment_whose_answer_is_lost_is_learned_all_the_same() {
    // So that the heartbeat after the one that joins finds that the other member has come.
    let slow = [("heartbeat.interval", "3000"), ("session.timeout", "20000")];
    let slow = slow.map(|(what, ms)| (format!("group.consumer.{what}.ms"), ms.to_owned()));
    let options =
        KafkaOptions { proxied: true, properties: slow.into(), ..KafkaOptions::default() };
    let kafka = Kafka::start_with(options).unwrap();
    let stage = Stage::on(&kafka, kafka.proxied_bootstrap(), Protocol::Consumer, 2);
    let mut deaf = stage.member();
    assert_eq!(deaf.take_all(1).await.len(), 2);
    // Acknowledged with a heartbeat of its own.
    tokio::time::sleep(Duration::from_secs(1)).await;
    kafka.proxy().hold(Direction::ToClient);
    let mut other = Stage { settings: stage.settings.clone() };
    other.settings.brokers = kafka.bootstrap();
    let mut new = other.member();
    tokio::time::sleep(Duration::from_secs(7)).await;
    kafka.proxy().release(Direction::ToClient);

    let begun = Instant::now();
    let (mut of_deaf, mut of_new) = (BTreeSet::from([0, 1]), BTreeSet::new());
    while of_deaf.len() != 1 || of_new.len() != 1 {
        tokio::select! {
            event = deaf.next() => deaf.follow(&mut of_deaf, event),
            event = new.next() => new.follow(&mut of_new, event),
        }
        assert!(of_deaf.is_disjoint(&of_new), "{of_deaf:?} and {of_new:?}");
    }
    println!("shared after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    new.source.leave().await;
    deaf.source.leave().await;
}

/// Requests or answers stop in the middle of a commit, at moments that differ, and arrive after all once the
/// commit has been given up. Whatever came of it, its event and its offset share one fate.
#[tokio::test]
async fn a_commit_that_is_cut_short_is_never_torn() {
    let kafka = proxied();
    let stage = Stage::on(&kafka, kafka.proxied_bootstrap(), Protocol::Classic, 1);
    let mut hasty = stage.settings.clone();
    hasty.transaction_timeout = Duration::from_secs(5);
    hasty.request_timeout = Duration::from_millis(1000);
    let mut member = Member::new(hasty.clone());
    member.take_all(1).await;
    member.renewed().await;
    let (mut watermark, mut hung, mut expected) = (0, 0, Vec::new());
    let mut fates = BTreeMap::new();
    for direction in [Direction::ToService, Direction::ToClient] {
        for delay in [0, 4, 7, 10, 13, 16, 20, 30] {
            watermark += 1;
            let event = format!("event {watermark}");
            let snapshot = member.membership().await.snapshot;
            let events = vec![message(Topic::Archived, event.clone())];
            let commit = member.publisher.commit(snapshot, events, vec![point(0, watermark, "")]);
            let (committing, ()) = tokio::join!(commit, async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                kafka.proxy().hold(direction);
            });
            kafka.proxy().release(direction);
            if member.publisher.hung() {
                // librdkafka ignores the timeout of one of its calls: then the process ends and is started again.
                hung += 1;
                member.source.leave().await;
                member = Member::new(hasty.clone());
                member.take_all(1).await;
            }
            member.renewed().await;

            let reader = stage.reader();
            let answer = reader.committed(stage.topic(), &[Partition(0)]).unwrap();
            let happened = answer[0].point == Some((Offset(watermark), String::new()));
            assert!(happened || committing != Committing::Clean, "{committing:?}");
            if happened {
                expected.push(event);
            }
            let clean = committing == Committing::Clean;
            *fates.entry((clean, happened)).or_insert(0) += 1;
            // Whatever was on its way has arrived by now, or never will.
            let seen = values(&stage, &stage.settings.topics.archived);
            assert_eq!(seen, expected, "after {committing:?}");
        }
    }
    println!("(clean, happened): {fates:?}; {hung} hung");
    member.source.leave().await;
}
