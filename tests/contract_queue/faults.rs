//! What a Redis, or the way to it, may do to us while it runs: time-outs, kills, fail-over, forgotten scripts.
//! In all of them the same queue goes on afterwards, without being made anew.

use std::time::{Duration, Instant};

use tollbridge::adapters::redis::{RedisQueue, Settings};
use tollbridge::ports::queue::{Admission, Depth, Moved, Queue};
use tollbridge_rig::{Direction, Proxy, RedisOptions};

use crate::values::{E, P, class, entry, epoch_of, in_archive, in_temp, keys, many, scan_all};
use crate::world::{PATIENCE, Real, World, run};

/// Soon, but not before a busy machine has had its turn.
const LIMIT: Duration = Duration::from_secs(2);

/// A queue that reaches the world's server through a proxy, and gives up early.
fn through(proxy: &Proxy, world: &Real) -> RedisQueue {
    let slow = world.settings(&format!("redis://{}", proxy.address()));
    RedisQueue::new(&Settings { connect_timeout: LIMIT, response_timeout: LIMIT, ..slow }).unwrap()
}

/// Asks until it works.
async fn works_again(queue: &RedisQueue) {
    let start = Instant::now();
    while queue.depths(&[P]).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "it doesn't work again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn forgotten_scripts_are_sent_again() {
    let w = Real::alone();
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        for full in ["0", "1"] {
            w.command(&["CONFIG", "SET", "maxmemory", "0"]);
            q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap();
            w.command(&["CONFIG", "SET", "maxmemory", full]);
            w.command(&["SCRIPT", "FLUSH"]);
            assert_eq!(q.settle(P, E, &[entry("a", 1, "a")]).await.unwrap(), [Moved::Done]);
            w.command(&["SCRIPT", "FLUSH"]);
            q.remove(P, E, &keys(&[entry("a", 1, "")])).await.unwrap();
            w.command(&["SCRIPT", "FLUSH"]);
            assert!(scan_all(q, P).await.is_empty());
        }
    });
}

#[test]
fn a_kill_is_transient_and_what_was_synced_stays() {
    let always = RedisOptions { appendfsync: "always".into(), ..RedisOptions::default() };
    let w = Real::with(always);
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        q.admit(P, E, &[entry("a", 1, "a"), entry("b", 2, "b")]).await.unwrap();
        q.settle(P, E, &[entry("b", 2, "b")]).await.unwrap();
        w.server().kill();
        for _ in 0..5 {
            assert_eq!(class(&q.admit(P, E, &[entry("c", 3, "c")]).await), "transient");
            assert_eq!(class(&q.health().await), "transient");
        }
        w.server().restart().unwrap();
        works_again(q).await;
        let all = [entry("a", 1, "x"), entry("b", 2, "x"), entry("c", 3, "x")];
        let answers = q.admit(P, E, &all).await.unwrap();
        assert_eq!(answers, [in_temp("a"), in_archive("b"), Admission::New]);
    });
}

#[test]
fn a_kill_without_a_file_leaves_no_epoch() {
    let w = Real::alone();
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap();
        w.server().restart().unwrap();
        works_again(q).await;
        assert_eq!(epoch_of(q.settle(P, E, &[entry("a", 1, "a")]).await), None);
    });
}

/// The answer is lost, the deed is not.
#[test]
fn a_reply_held_back_is_transient_and_the_repeat_finds_it_done() {
    let w = Real::alone();
    let proxy = Proxy::start(("127.0.0.1", w.server().port())).unwrap();
    run(async {
        let q = through(&proxy, &w);
        q.claim(P, E).await.unwrap();
        // Redis knows the scripts already: else it would be the answer "unknown script" that is held back.
        let warm = [entry("warm", 0, "")];
        q.admit(P, E, &warm).await.unwrap();
        q.mark(P, E, &warm).await.unwrap();
        q.settle(P, E, &warm).await.unwrap();
        for step in ["admit", "mark", "settle"] {
            let one = [entry("a", 1, step)];
            proxy.hold(Direction::ToClient);
            let start = Instant::now();
            let lost = match step {
                "admit" => class(&q.admit(P, E, &one).await),
                "mark" => class(&q.mark(P, E, &one).await),
                _ => class(&q.settle(P, E, &one).await),
            };
            assert_eq!(lost, "transient", "{step}");
            let took = start.elapsed();
            assert!(took >= LIMIT && took < PATIENCE / 2, "{step} took {took:?}");
            proxy.release(Direction::ToClient);
            works_again(&q).await;
            match step {
                "admit" => assert_eq!(q.admit(P, E, &one).await.unwrap(), [in_temp("admit")]),
                "mark" => assert_eq!(q.mark(P, E, &one).await.unwrap(), [Moved::Done]),
                _ => assert_eq!(q.settle(P, E, &one).await.unwrap(), [Moved::Done]),
            }
        }
        assert_eq!(q.admit(P, E, &[entry("a", 1, "x")]).await.unwrap(), [in_archive("settle")]);
    });
}

/// A request that was given up arrives after its repeat: nothing is done twice.
#[test]
fn a_late_request_changes_nothing() {
    let w = Real::alone();
    let proxy = Proxy::start(("127.0.0.1", w.server().port())).unwrap();
    run(async {
        let q = through(&proxy, &w);
        q.claim(P, E).await.unwrap();
        let entries = [entry("a", 1, "a"), entry("b", 2, "b")];
        q.admit(P, E, &entries).await.unwrap();
        proxy.hold(Direction::ToService);
        assert_eq!(class(&q.settle(P, E, &entries).await), "transient");
        // The owner repeats it by another way and goes on.
        w.queue().settle(P, E, &entries).await.unwrap();
        w.queue().remove(P, E, &keys(&entries[..1])).await.unwrap();
        proxy.release(Direction::ToService);
        works_again(&q).await;
        assert_eq!(scan_all(&q, P).await, [("b".into(), 2, true)].into());
    });
}

/// Nothing comes back and nothing closes: the connection is given up, not kept for ever.
#[test]
fn a_silent_connection_is_replaced() {
    let w = Real::alone();
    let proxy = Proxy::start(("127.0.0.1", w.server().port())).unwrap();
    run(async {
        let q = through(&proxy, &w);
        q.claim(P, E).await.unwrap();
        assert_eq!(proxy.connections(), 1);
        w.server().pause().unwrap();
        let start = Instant::now();
        let (one, other) = tokio::join!(q.depths(&[P]), q.health());
        assert_eq!((class(&one), class(&other)), ("transient", "transient"));
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
        w.server().resume().unwrap();
        works_again(&q).await;
        // Connections that die are noticed without a time-out, and one call is enough to go on.
        proxy.sever();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let first = q.depths(&[P]).await;
        let second = q.depths(&[P]).await;
        assert_eq!(class(&second), "ok", "{first:?}, then {second:?}");
    });
}

#[test]
fn calls_share_a_connection_and_do_not_wait_for_each_other() {
    let w = Real::alone();
    let proxy = Proxy::start(("127.0.0.1", w.server().port())).unwrap();
    run(async {
        let q = w.queue_at(&format!("redis://{}", proxy.address()));
        let all = many(6_400);
        let before = connections_so_far(&w);
        // The first calls of all come at once, too: one of them connects.
        let claims = (0..8).map(|_| q.claim(P, E));
        for claim in futures_util::future::join_all(claims).await {
            claim.unwrap();
        }
        let calls = all.chunks(100).map(|part| q.admit(P, E, part));
        for answers in futures_util::future::join_all(calls).await {
            assert_eq!(answers.unwrap(), vec![Admission::New; 100]);
        }
        // One for the calls, one for asking.
        assert_eq!(connections_so_far(&w) - before, 2);
        assert_eq!(q.depths(&[P]).await.unwrap(), [Depth { temp: 6_400, archive: 0 }]);
    });
}

fn connections_so_far(w: &Real) -> u64 {
    let stats = w.command(&["INFO", "stats"]).text();
    let line = stats.lines().find_map(|l| l.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn a_demoted_primary_is_transient() {
    let w = Real::alone();
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        let nobody = tollbridge_rig::free_port().to_string();
        w.command(&["REPLICAOF", "127.0.0.1", &nobody]);
        let refused = q.admit(P, E, &[entry("a", 1, "a")]).await;
        assert_eq!(class(&refused), "transient", "{refused:?}");
        assert!(format!("{refused:?}").contains("ReadOnly"), "{refused:?}");
        w.command(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap(), [Admission::New]);
    });
}

#[test]
fn a_busy_server_is_transient() {
    let w = Real::alone();
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        w.command(&["CONFIG", "SET", "busy-reply-threshold", "20"]);
        let port = w.server().port();
        let endless = std::thread::spawn(move || {
            let words = ["EVAL", "while true do end", "0"];
            drop(tollbridge_rig::redis::command(port, 0, &words));
        });
        let busy = || tollbridge_rig::redis::command(port, 0, &["PING"]).is_err();
        tollbridge_rig::wait_until("the script to keep it busy", PATIENCE, busy).unwrap();
        let refused = q.admit(P, E, &[entry("a", 1, "a")]).await;
        assert_eq!(class(&refused), "transient", "{refused:?}");
        assert!(format!("{refused:?}").contains("BUSY"), "{refused:?}");
        w.command(&["SCRIPT", "KILL"]);
        endless.join().unwrap();
        works_again(q).await;
        assert_eq!(q.admit(P, E, &[entry("a", 1, "a")]).await.unwrap(), [Admission::New]);
    });
}
