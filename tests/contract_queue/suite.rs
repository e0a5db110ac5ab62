//! What the port promises, once for every implementation.

use tollbridge::domain::id::{Epoch, Partition};
use tollbridge::domain::time::Wall;
use tollbridge::ports::queue::{Admission, Depth, Moved, Queue};
use tollbridge_rig::Cluster;

use crate::values::{
    E, P, class, elsewhere, entry, epoch_of, in_archive, in_temp, key, keys, many, scan_all,
};
use crate::world::{Memory, Real, Together, World, run};

macro_rules! suite {
    ($($check:ident),+ $(,)?) => {
        suite!(memory: world::Memory::default(); $($check),+);
        suite!(redis: world::Real::shared(); $($check),+);
        suite!(valkey: world::Real::valkey(); $($check),+);
        suite!(sentinels: world::sentinels(); $($check),+);
        suite!(cluster: world::cluster(); $($check),+);
    };
    ($name:ident: $world:expr; $($check:ident),+) => {
        mod $name {
            use crate::world;
            $(#[test] fn $check() { world::run(super::$check(&$world)); })+
        }
    };
}

suite!(
    admission_answers_each_entry,
    admission_knows_other_places,
    settling_moves_and_may_be_repeated,
    marking_replaces_the_body_in_temp_alone,
    removal_goes_by_the_place,
    missing_are_those_in_neither_queue,
    an_id_may_come_twice_in_a_batch,
    every_operation_compares_the_epoch,
    a_claim_gives_way_to_a_higher_one_alone,
    a_wiped_queue_has_no_epoch,
    partitions_are_apart,
    no_entries_are_no_work,
    thousands_go_at_once,
    bodies_are_opaque,
    a_scan_meets_what_stays_and_what_moves,
    health_is_plausible,
);

/// A server of its own is needed: memory is one for all.
#[test]
fn memory_full_in_memory() {
    run(only_admission_meets_a_full_queue(&Memory::default()));
}

#[test]
fn memory_full_in_redis() {
    run(only_admission_meets_a_full_queue(&Real::alone()));
}

#[test]
fn memory_full_in_valkey() {
    run(only_admission_meets_a_full_queue(&Real::valkey_alone()));
}

#[test]
fn memory_full_in_a_cluster() {
    let own: Together<Cluster, Cluster> = Together::on(Cluster::start().unwrap());
    run(only_admission_meets_a_full_queue(&own));
}

async fn admission_answers_each_entry(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    let first = [entry("a", 1, "a1"), entry("b", 2, "b1")];
    assert_eq!(q.admit(P, E, &first).await.unwrap(), [Admission::New, Admission::New]);
    q.settle(P, E, &[entry("b", 2, "b2")]).await.unwrap();
    let again = [entry("c", 3, "c1"), entry("b", 2, "x"), entry("a", 1, "x")];
    let answers = q.admit(P, E, &again).await.unwrap();
    assert_eq!(answers, [Admission::New, in_archive("b2"), in_temp("a1")]);
    assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 2, archive: 1 }]);
}

async fn admission_knows_other_places(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    q.admit(P, E, &[entry("a", 1, "a"), entry("b", 2, "b")]).await.unwrap();
    q.settle(P, E, &[entry("b", 2, "b")]).await.unwrap();
    let before = scan_all(q, P).await;
    let answers = q.admit(P, E, &[entry("a", 8, "x"), entry("b", 9, "x")]).await.unwrap();
    assert_eq!(answers, [elsewhere(1, false), elsewhere(2, true)]);
    assert_eq!(scan_all(q, P).await, before);
    assert_eq!(q.admit(P, E, &[entry("a", 1, "x")]).await.unwrap(), [in_temp("a")]);
}

async fn settling_moves_and_may_be_repeated(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    q.admit(P, E, &[entry("a", 1, "a1"), entry("b", 2, "b1")]).await.unwrap();
    let moves = [entry("a", 1, "a2"), entry("b", 5, "x"), entry("z", 9, "x")];
    let expected = [Moved::Done, Moved::Missing, Moved::Missing];
    for _ in 0..2 {
        assert_eq!(q.settle(P, E, &moves).await.unwrap(), expected);
        let found = scan_all(q, P).await;
        assert_eq!(found, [("a".into(), 1, true), ("b".into(), 2, false)].into());
    }
    // What is there already keeps its body.
    q.settle(P, E, &[entry("a", 1, "a3")]).await.unwrap();
    assert_eq!(q.admit(P, E, &[entry("a", 1, "x")]).await.unwrap(), [in_archive("a2")]);
}

async fn marking_replaces_the_body_in_temp_alone(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    q.admit(P, E, &[entry("a", 1, "a1"), entry("b", 2, "b1"), entry("c", 3, "c1")]).await.unwrap();
    q.settle(P, E, &[entry("b", 2, "b2")]).await.unwrap();
    let marks = [entry("a", 1, "a2"), entry("b", 2, "x"), entry("c", 4, "x"), entry("d", 5, "x")];
    let answers = q.mark(P, E, &marks).await.unwrap();
    assert_eq!(answers, [Moved::Done, Moved::Missing, Moved::Missing, Moved::Missing]);
    let all = [entry("a", 1, "x"), entry("b", 2, "x"), entry("c", 3, "x")];
    let stand = q.admit(P, E, &all).await.unwrap();
    assert_eq!(stand, [in_temp("a2"), in_archive("b2"), in_temp("c1")]);
}

async fn removal_goes_by_the_place(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    q.admit(P, E, &[entry("a", 1, "a"), entry("b", 2, "b"), entry("c", 3, "c")]).await.unwrap();
    q.settle(P, E, &[entry("b", 2, "b"), entry("c", 3, "c")]).await.unwrap();
    let gone = [key("a", 1), key("b", 2), key("c", 4), key("d", 5)];
    for _ in 0..2 {
        q.remove(P, E, &gone).await.unwrap();
        assert_eq!(scan_all(q, P).await, [("c".into(), 3, true)].into());
    }
}

async fn missing_are_those_in_neither_queue(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    q.admit(P, E, &[entry("a", 1, "a"), entry("b", 2, "b")]).await.unwrap();
    q.settle(P, E, &[entry("b", 2, "b")]).await.unwrap();
    let asked = [key("z", 9), key("a", 1), key("b", 3), key("b", 2), key("a", 2), key("z", 9)];
    let missing = q.missing(P, E, &asked).await.unwrap();
    assert_eq!(missing, [key("z", 9), key("b", 3), key("a", 2), key("z", 9)]);
}

async fn an_id_may_come_twice_in_a_batch(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    let twice = [entry("a", 1, "first"), entry("a", 2, "other"), entry("a", 1, "second")];
    let answers = q.admit(P, E, &twice).await.unwrap();
    assert_eq!(answers, [Admission::New, elsewhere(1, false), in_temp("first")]);
    q.mark(P, E, &[entry("a", 1, "m1"), entry("a", 1, "m2")]).await.unwrap();
    assert_eq!(q.admit(P, E, &[entry("a", 1, "x")]).await.unwrap(), [in_temp("m2")]);
    let moves = [entry("a", 2, "x"), entry("a", 1, "s1"), entry("a", 1, "s2"), entry("a", 2, "x")];
    let answers = q.settle(P, E, &moves).await.unwrap();
    assert_eq!(answers, [Moved::Missing, Moved::Done, Moved::Done, Moved::Missing]);
    assert_eq!(q.admit(P, E, &[entry("a", 1, "x")]).await.unwrap(), [in_archive("s1")]);
    q.remove(P, E, &[key("a", 1), key("a", 1)]).await.unwrap();
    assert!(scan_all(q, P).await.is_empty());
}

async fn every_operation_compares_the_epoch(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    let one = [entry("a", 1, "a")];
    q.admit(P, E, &one).await.unwrap();
    for (found, wrong) in [(Some(E), Epoch(6)), (Some(E), Epoch(8)), (None, E)] {
        if found.is_none() {
            w.lose_epoch(P);
        }
        assert_eq!(epoch_of(q.admit(P, wrong, &[entry("b", 2, "b")]).await), found);
        assert_eq!(epoch_of(q.settle(P, wrong, &one).await), found);
        assert_eq!(epoch_of(q.mark(P, wrong, &[entry("a", 1, "x")]).await), found);
        assert_eq!(epoch_of(q.remove(P, wrong, &keys(&one)).await), found);
        assert_eq!(epoch_of(q.missing(P, wrong, &keys(&one)).await), found);
    }
    assert_eq!(scan_all(q, P).await, [("a".into(), 1, false)].into());
    q.claim(P, E).await.unwrap();
    assert_eq!(q.admit(P, E, &one).await.unwrap(), [in_temp("a")]);
}

async fn a_claim_gives_way_to_a_higher_one_alone(w: &impl World) {
    let q = w.queue();
    // Beyond 2^53, and where the number of digits changes.
    let rising = [0, 1, 9, 10, 99, 100, (1 << 53) + 1, (1 << 53) + 2, u64::MAX - 1, u64::MAX];
    for pair in rising.windows(2) {
        let (lower, higher) = (Epoch(pair[0]), Epoch(pair[1]));
        q.claim(P, lower).await.unwrap();
        q.claim(P, lower).await.unwrap();
        q.claim(P, higher).await.unwrap();
        assert_eq!(epoch_of(q.claim(P, lower).await), Some(higher));
        assert_eq!(epoch_of(q.missing(P, lower, &[key("a", 1)]).await), Some(higher));
        q.missing(P, higher, &[key("a", 1)]).await.unwrap();
    }
}

async fn a_wiped_queue_has_no_epoch(w: &impl World) {
    let q = w.queue();
    assert_eq!(epoch_of(q.admit(P, E, &[entry("a", 1, "a")]).await), None);
    q.claim(P, E).await.unwrap();
    q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap();
    w.wipe();
    assert_eq!(epoch_of(q.settle(P, E, &[entry("a", 1, "a")]).await), None);
    q.claim(P, Epoch(2)).await.unwrap();
    assert_eq!(q.missing(P, Epoch(2), &[key("a", 1)]).await.unwrap(), [key("a", 1)]);
    assert_eq!(q.admit(P, Epoch(2), &[entry("a", 1, "a")]).await.unwrap(), [Admission::New]);
}

async fn partitions_are_apart(w: &impl World) {
    let q = w.queue();
    let (one, other) = (Partition(1), Partition(11));
    q.claim(one, Epoch(1)).await.unwrap();
    q.claim(other, Epoch(2)).await.unwrap();
    q.admit(one, Epoch(1), &[entry("a", 1, "a")]).await.unwrap();
    let answers = q.admit(other, Epoch(2), &[entry("a", 5, "b")]).await.unwrap();
    assert_eq!(answers, [Admission::New]);
    q.settle(other, Epoch(2), &[entry("a", 5, "b")]).await.unwrap();
    let depths = q.depths(&[other, Partition(7), one]).await.unwrap();
    let [temp, archive] = [Depth { temp: 1, archive: 0 }, Depth { temp: 0, archive: 1 }];
    assert_eq!(depths, [archive, Depth::default(), temp]);
    assert_eq!(scan_all(q, one).await, [("a".into(), 1, false)].into());
}

async fn no_entries_are_no_work(w: &impl World) {
    let q = w.queue();
    assert_eq!(q.admit(P, E, &[]).await.unwrap(), []);
    assert_eq!(q.settle(P, E, &[]).await.unwrap(), []);
    assert_eq!(q.mark(P, E, &[]).await.unwrap(), []);
    q.remove(P, E, &[]).await.unwrap();
    assert_eq!(q.missing(P, E, &[]).await.unwrap(), []);
    assert_eq!(q.depths(&[]).await.unwrap(), []);
}

async fn thousands_go_at_once(w: &impl World) {
    let q = w.queue();
    let all = many(5_000);
    q.claim(P, E).await.unwrap();
    assert!(q.admit(P, E, &all).await.unwrap().iter().all(|a| *a == Admission::New));
    let again = q.admit(P, E, &all).await.unwrap();
    assert!(again.iter().zip(&all).all(|(a, e)| *a == Admission::InTemp(e.body.clone())));
    assert_eq!(q.settle(P, E, &all[..3_000]).await.unwrap(), [Moved::Done; 3_000]);
    assert_eq!(q.mark(P, E, &all[3_000..]).await.unwrap(), [Moved::Done; 2_000]);
    assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 2_000, archive: 3_000 }]);
    assert_eq!(scan_all(q, P).await.len(), 5_000);
    q.remove(P, E, &keys(&all[1..])).await.unwrap();
    assert_eq!(q.missing(P, E, &keys(&all)).await.unwrap(), keys(&all[1..]));
}

async fn bodies_are_opaque(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    let mut entries = vec![entry("empty", -1, ""), entry("edge", i64::MAX, "\r\n\0")];
    let all_bytes: Vec<u8> = (0..=255).collect();
    entries.push(entry("bytes", i64::MIN, ""));
    entries[2].body = all_bytes.into();
    entries.push(entry("big", 0, ""));
    entries[3].body = vec![0xFF; 1 << 20].into();
    q.admit(P, E, &entries).await.unwrap();
    let expected: Vec<_> = entries.iter().map(|e| Admission::InTemp(e.body.clone())).collect();
    assert_eq!(q.admit(P, E, &entries).await.unwrap(), expected);
}

/// Entries move, come and go between the pages. What was there all along is met.
async fn a_scan_meets_what_stays_and_what_moves(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    let all = many(2_000);
    q.admit(P, E, &all).await.unwrap();
    q.settle(P, E, &all[..500]).await.unwrap();
    let (mut met, mut cursor, mut pages) = (std::collections::BTreeSet::new(), None, 0);
    loop {
        let page = q.scan(P, cursor).await.unwrap();
        met.extend(page.found.into_iter().map(|f| f.key));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        // Pages of different sizes: one has many more than the other.
        let at = 500 + pages;
        if at + 10 < 1_500 {
            q.settle(P, E, &all[at..at + 10]).await.unwrap();
            q.remove(P, E, &keys(&all[1_900..])).await.unwrap();
        }
        pages += 10;
        assert!(pages < 100_000, "the scan doesn't end");
    }
    assert!(pages >= 20, "one page alone");
    let unmet: Vec<_> = all[..1_900].iter().filter(|e| !met.contains(&e.key)).collect();
    assert!(unmet.is_empty(), "{} unmet, the first: {:?}", unmet.len(), unmet.first());
}

async fn health_is_plausible(w: &impl World) {
    let health = w.queue().health().await.unwrap();
    assert_eq!(health.eviction_policy, "noeviction");
    let major: u32 = health.version.split('.').next().unwrap().parse().unwrap();
    assert!(major >= 7, "{health:?}");
    assert_eq!(health.max_memory_bytes, 0);
    assert!(health.now >= Wall(0));
}

async fn only_admission_meets_a_full_queue(w: &impl World) {
    let q = w.queue();
    q.claim(P, E).await.unwrap();
    let three = [entry("a", 1, "a"), entry("b", 2, "b"), entry("c", 3, "c")];
    q.admit(P, E, &three).await.unwrap();
    w.set_full(true);
    assert_eq!(class(&q.admit(P, E, &[entry("d", 4, "d")]).await), "full");
    assert_eq!(class(&q.admit(P, E, &three).await), "full");
    assert_eq!(
        q.settle(P, E, &[entry("a", 1, "a much longer body")]).await.unwrap(),
        [Moved::Done]
    );
    assert_eq!(q.mark(P, E, &[entry("b", 2, "a much longer body")]).await.unwrap(), [Moved::Done]);
    q.remove(P, E, &[key("c", 3)]).await.unwrap();
    assert_eq!(q.missing(P, E, &[key("c", 3), key("a", 1)]).await.unwrap(), [key("c", 3)]);
    q.claim(P, Epoch(8)).await.unwrap();
    assert_eq!(scan_all(q, P).await, [("a".into(), 1, true), ("b".into(), 2, false)].into());
    assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 1, archive: 1 }]);
    assert!(q.health().await.unwrap().max_memory_bytes > 0);
    w.set_full(false);
    assert_eq!(q.admit(P, Epoch(8), &[entry("d", 4, "d")]).await.unwrap(), [Admission::New]);
}
