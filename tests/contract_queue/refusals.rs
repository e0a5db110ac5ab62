//! What asking again won't cure, and what others may have left under our keys: it is named, nothing is torn, and
//! nothing is lost by it.

use tollbridge::adapters::redis::RedisQueue;
use tollbridge::domain::id::Epoch;
use tollbridge::ports::queue::{Admission, Depth, Moved, Queue, QueueError};

use crate::values::{E, P, class, entry, epoch_of, in_temp, key, keys, scan_all};
use crate::world::{Real, World, run, settings};

/// A key of the wrong type ends each operation before it has written anything.
#[test]
fn a_wrong_type_tears_nothing() {
    for wrong in ["temp", "archive", "epoch"] {
        let w = Real::shared();
        run(async {
            let q = w.queue();
            q.claim(P, E).await.unwrap();
            let two = [entry("a", 1, "a"), entry("b", 2, "b")];
            q.admit(P, E, &two).await.unwrap();
            q.settle(P, E, &two[1..]).await.unwrap();
            let spoilt = w.key(P, wrong);
            w.command(&["RENAME", &spoilt, "kept"]);
            w.command(&["RPUSH", &spoilt, "not", "ours"]);
            assert_eq!(class(&q.claim(P, Epoch(8)).await), "permanent", "{wrong}");
            assert_eq!(class(&q.admit(P, E, &[entry("c", 3, "c")]).await), "permanent", "{wrong}");
            assert_eq!(class(&q.settle(P, E, &two).await), "permanent", "{wrong}");
            assert_eq!(class(&q.mark(P, E, &two).await), "permanent", "{wrong}");
            assert_eq!(class(&q.remove(P, E, &keys(&two)).await), "permanent", "{wrong}");
            assert_eq!(class(&q.missing(P, E, &keys(&two)).await), "permanent", "{wrong}");
            if wrong != "epoch" {
                assert_eq!(class(&q.depths(&[P]).await), "permanent", "{wrong}");
                let cursor = (wrong == "archive").then_some(1);
                assert_eq!(class(&q.scan(P, cursor).await), "permanent", "{wrong}");
            }
            assert_eq!(w.command(&["LLEN", &spoilt]).integer(), Some(2), "{wrong}");
            w.command(&["DEL", &spoilt]);
            w.command(&["RENAME", "kept", &spoilt]);
            let stand = scan_all(q, P).await;
            assert_eq!(stand, [("a".into(), 1, false), ("b".into(), 2, true)].into(), "{wrong}");
            assert_eq!(q.admit(P, E, &two[..1]).await.unwrap(), [in_temp("a")], "{wrong}");
        });
    }
}

/// What can't be read is skipped, counted, written over by its own id, and never deleted.
#[test]
fn an_unreadable_entry_is_no_floor() {
    let w = Real::shared();
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        let (temp, archive) = (w.key(P, "temp"), w.key(P, "archive"));
        w.command(&["HSET", &temp, "short", "1234567", "not an id!", "12345678body"]);
        w.command(&["HSET", &archive, "short", "", "\u{e9}", "12345678"]);
        assert!(scan_all(q, P).await.is_empty());
        assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 2, archive: 2 }]);
        let one = [entry("short", 5, "body")];
        assert_eq!(q.missing(P, E, &keys(&one)).await.unwrap(), [key("short", 5)]);
        assert_eq!(q.settle(P, E, &one).await.unwrap(), [Moved::Missing]);
        assert_eq!(q.mark(P, E, &one).await.unwrap(), [Moved::Missing]);
        q.remove(P, E, &keys(&one)).await.unwrap();
        assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 2, archive: 2 }]);
        assert_eq!(q.admit(P, E, &one).await.unwrap(), [Admission::New]);
        assert_eq!(q.settle(P, E, &one).await.unwrap(), [Moved::Done]);
        assert_eq!(scan_all(q, P).await, [("short".into(), 5, true)].into());
        assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 1, archive: 2 }]);
    });
}

/// An epoch that no owner wrote counts as none, and gives way to a claim.
#[test]
fn a_foreign_epoch_gives_way() {
    let w = Real::shared();
    run(async {
        let q = w.queue();
        w.command(&["SET", &w.key(P, "epoch"), "not a number"]);
        assert_eq!(epoch_of(q.admit(P, E, &[entry("a", 1, "a")]).await), None);
        q.claim(P, E).await.unwrap();
        assert_eq!(q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap(), [Admission::New]);
    });
}

#[test]
fn a_log_in_that_fails_is_permanent_and_a_right_one_works() {
    // The rig looks without a password whether the server answers: so it is set later.
    let w = Real::alone();
    let port = w.server().port();
    w.command(&["CONFIG", "SET", "requirepass", "open-sesame"]);
    run(async {
        let with = |login: &str| w.queue_at(&format!("redis://{login}127.0.0.1:{port}"));
        let none = with("").claim(P, E).await;
        assert_eq!(class(&none), "permanent", "{none:?}");
        let wrong = with(":wrong@").claim(P, E).await;
        assert_eq!(class(&wrong), "permanent", "{wrong:?}");
        assert!(!format!("{wrong:?}").contains("wrong"), "{wrong:?}");
        with(":open-sesame@").claim(P, E).await.unwrap();
    });
}

#[test]
fn a_bad_url_is_named_without_its_password() {
    for bad in ["", "localhost", "http://me:hush@localhost", "redis://me:hush@localhost:port"] {
        match RedisQueue::new(&settings(bad, "p")) {
            Err(QueueError::Permanent(text)) => {
                assert!(text.contains("redis.url") && !text.contains("hush"), "{bad}: {text}");
            }
            other => panic!("{bad}: {other:?}"),
        }
    }
    let shown = format!("{:?}", settings("redis://me:hush@localhost", "p"));
    assert!(!shown.contains("hush"), "{shown}");
}
