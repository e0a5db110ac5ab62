//! Partitions move only once they have been let go of, and nothing is lost or repeated on the way.

use std::time::Duration;

use tollbridge::adapters::kafka::Protocol;
use tollbridge::domain::id::{Offset, Partition};
use tollbridge::ports::publisher::Publisher;
use tollbridge::ports::source::{Source, SourceEvent};

use crate::stage::{BOTH, Member, PATIENCE, Stage, numbers, offsets, start};

#[tokio::test]
async fn a_partition_moves_only_after_its_release() {
    for protocol in BOTH {
        let stage = Stage::new(protocol, 2);
        stage.feed(0, numbers(0, 20));
        stage.feed(1, numbers(0, 20));
        let mut first = stage.member();
        assert_eq!(first.take_all(1).await, [Partition(0), Partition(1)]);
        let before = first.membership().await;
        assert!(before.generation >= 0 && !before.member_id.is_empty());
        assert_eq!(before.owned, [Partition(0), Partition(1)].into());
        for partition in [0, 1] {
            first.demand(partition, 1, 100);
            first.records(partition, 1, 20).await;
        }

        let mut second = stage.member();
        let (ticket, moving, lost) = first.revoked().await;
        assert_eq!((moving.len(), lost), (1, false));
        let kept = Partition(1 - moving[0].0);
        let during = first.membership().await;
        assert_eq!(during.owned, [kept].into(), "the one being revoked is no longer ours");
        assert!(during.snapshot > before.snapshot);
        second.silence(Duration::from_secs(2)).await;

        first.source.release(ticket);
        assert_eq!(second.take_all(1).await, moving);
        second.demand(moving[0].0, 1, 100);
        assert_eq!(second.records(moving[0].0, 1, 20).await.len(), 20);

        // The one that stayed stood at its end all the while; its next record must not be skipped.
        stage.feed(kept.0, numbers(20, 22));
        assert_eq!(offsets(&first.records(kept.0, 1, 2).await), [20, 21]);

        second.source.leave().await;
        assert_eq!(first.take_all(2).await, moving);
        stage.feed(kept.0, numbers(22, 23));
        assert_eq!(offsets(&first.records(kept.0, 1, 1).await), [22]);
        first.source.leave().await;
    }
}

#[tokio::test]
async fn a_slow_answer_is_no_reason_to_lose_the_membership() {
    for protocol in BOTH {
        let mut stage = Stage::new(protocol, 1);
        stage.feed(0, numbers(0, 5));
        // As the broker's, which counts under the other protocol.
        stage.settings.session_timeout = Duration::from_secs(10);
        let mut member = stage.member();
        let (ticket, _) = member.assigned().await;
        member.silence(Duration::from_secs(14)).await;
        let membership = member.membership().await;
        assert!(membership.generation >= 0 && !membership.member_id.is_empty());
        member.source.assign(ticket, vec![start(0, 1, 0)]);
        member.demand(0, 1, 5);
        assert_eq!(member.records(0, 1, 5).await.len(), 5);
        member.source.leave().await;
    }
}

#[tokio::test]
async fn leaving_waits_for_no_answer() {
    for protocol in BOTH {
        let stage = Stage::new(protocol, 2);
        // Never assigned anything.
        leave(stage.member()).await;
        // An assignment that nobody answered.
        let mut first = stage.member();
        first.assigned().await;
        leave(first).await;
        // A revocation that nobody answered.
        let mut first = stage.member();
        first.take_all(1).await;
        let mut second = stage.member();
        first.revoked().await;
        leave(first).await;
        let mut taken = second.take_all(1).await.len();
        while taken < 2 {
            taken += second.take_all(1).await.len();
        }
        // Dropped without a word: the group learns it, too.
        let mut third = stage.member();
        let (ticket, _, _) = second.revoked().await;
        second.source.release(ticket);
        third.take_all(1).await;
        drop(second);
        assert_eq!(third.take_all(2).await.len(), 1);
        leave(third).await;
    }
}

#[tokio::test]
async fn after_leaving_there_is_no_membership() {
    let stage = Stage::new(Protocol::Classic, 1);
    let mut member = stage.member();
    member.take_all(1).await;
    member.demand(0, 1, 1);
    assert_eq!(member.end(0).await, Offset(0));
    member.source.leave().await;
    assert!(member.publisher.membership().await.is_err());
}

#[tokio::test]
async fn a_static_member_is_back_at_once() {
    let stage = Stage::new(Protocol::Classic, 2);
    let mut settings = stage.settings.clone();
    settings.instance_id = Some("tollbridge-0".into());
    let mut member = Member::new(settings.clone());
    member.take_all(1).await;
    let before = member.membership().await;
    member.source.leave().await;
    let mut again = Member::new(settings);
    assert_eq!(again.take_all(1).await, [Partition(0), Partition(1)]);
    let after = again.membership().await;
    assert_eq!(after.generation, before.generation, "the group never noticed");
    again.source.leave().await;
}

#[tokio::test]
async fn the_older_of_two_with_the_same_identity_ends() {
    let stage = Stage::new(Protocol::Classic, 1);
    let mut settings = stage.settings.clone();
    settings.instance_id = Some("tollbridge-0".into());
    let mut older = Member::new(settings.clone());
    older.take_all(1).await;
    let mut newer = Member::new(settings);
    newer.take_all(1).await;
    loop {
        match older.event().await {
            SourceEvent::Fatal(why) => break assert!(why.contains("fenced"), "{why}"),
            SourceEvent::End { .. } | SourceEvent::Trouble(_) => {}
            event => panic!("{event:?}"),
        }
    }
    leave(older).await;
    newer.demand(0, 1, 1);
    assert_eq!(newer.end(0).await, Offset(0));
    leave(newer).await;
}

/// Leaves, and not for ever.
async fn leave(member: Member) {
    let left = tokio::time::timeout(PATIENCE, member.source.leave()).await;
    left.expect("leaving hangs");
}
