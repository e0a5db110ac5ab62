//! Several servers together: where a partition's keys are, and what happens when a master dies, a slot moves, or what
//! was acknowledged is gone afterwards. The same queue goes on in all of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tollbridge::adapters::redis::{Kind, Misfit, RedisQueue, Settings, Topology};
use tollbridge::domain::id::Partition;
use tollbridge::ports::queue::{Moved, Queue};
use tollbridge_rig::{
    Cluster, Redis, RedisOptions, Reply, Sentinels, shared_cluster, shared_redis,
};

use crate::owner::Owner;
use crate::values::{E, P, class, entry, keys, scan_all};
use crate::world::{Masters, PATIENCE, Real, Together, World, cluster, run, sentinels, settings};

/// As the product has it by default: what a dead server costs is bounded by it.
const RESPONSE: Duration = Duration::from_secs(2);

fn queue(servers: &impl Masters) -> RedisQueue {
    let settings = servers.settings("together");
    let settings = Settings { connect_timeout: RESPONSE, response_timeout: RESPONSE, ..settings };
    RedisQueue::new(&settings).unwrap()
}

fn count(server: &Redis, pattern: &str) -> usize {
    match server.command(&["KEYS", pattern]).unwrap() {
        Reply::Array(keys) => keys.len(),
        other => panic!("{other:?}"),
    }
}

/// With the names that the configuration has by default.
#[test]
fn sixteen_partitions_occupy_all_masters() {
    let servers = shared_cluster();
    let settings = servers.settings("tollbridge");
    let names = ("tollbridge".to_owned(), "transactions".to_owned());
    let q = RedisQueue::new(&Settings { group: names.0, topic: names.1, ..settings }).unwrap();
    run(async {
        for partition in (0..16).map(Partition) {
            q.claim(partition, E).await.unwrap();
            q.admit(partition, E, &[entry("a", 1, "a"), entry("b", 2, "b")]).await.unwrap();
            q.settle(partition, E, &[entry("b", 2, "b")]).await.unwrap();
        }
        let all: Vec<Partition> = (0..16).map(Partition).collect();
        let depths = q.depths(&all).await.unwrap();
        assert!(depths.iter().all(|depth| (depth.temp, depth.archive) == (1, 1)), "{depths:?}");
        let found = q.find(&all, &entry("b", 2, "").key.id).await.unwrap();
        assert!(found.len() == 16 && found.iter().all(|found| found.archived), "{found:?}");
    });
    let per_node: Vec<usize> = Cluster::masters(servers)
        .into_iter()
        .map(|master| count(master, "{tollbridge:tollbridge:transactions:*"))
        .collect();
    println!("keys on each master: {per_node:?}");
    assert_eq!(per_node.iter().sum::<usize>(), 16 * 3);
    assert_eq!(per_node.len(), 3);
    assert!(per_node.iter().all(|keys| *keys >= 2 * 3 && keys % 3 == 0), "{per_node:?}");
}

/// Another server is the master within the time that Sentinels take, and the same queue has found it.
#[test]
fn a_master_under_sentinels_dies_under_load() {
    let servers = Sentinels::start().unwrap();
    let q = queue(&servers);
    run(async {
        let mut owner = Owner::of(&q, 4).await;
        owner.rounds_until(20, || true).await;
        let old = servers.master().unwrap();
        old.kill();
        let others = || servers.master().is_ok_and(|master| master.port() != old.port());
        owner.rounds_until(20, others).await;
        old.restart().unwrap();
        owner.rounds_until(20, || true).await;
        owner.check().await;
        println!("{:?}", owner.met);
        assert!(owner.met.refused > 0, "{:?}", owner.met);
    });
    servers.wait_whole().unwrap();
}

/// A failover that loses what was acknowledged last: what is gone is told, and put back.
#[test]
fn a_failover_that_lost_its_last_second_is_noticed() {
    let servers = Sentinels::start().unwrap();
    let q = queue(&servers);
    run(async {
        q.claim(P, E).await.unwrap();
        let kept = [entry("kept-1", 1, "a"), entry("kept-2", 2, "b")];
        q.admit(P, E, &kept).await.unwrap();
        servers.wait_whole().unwrap();
        let old = servers.master().unwrap();
        let replicas = || servers.servers().iter().filter(|server| server.port() != old.port());
        wait_same(old, replicas());
        replicas().for_each(|replica| replica.pause().unwrap());
        // Else what they were sent already would still be read by them.
        old.command(&["CLIENT", "KILL", "TYPE", "replica"]).unwrap();
        let lost = [entry("lost-1", 3, "c"), entry("lost-2", 4, "d")];
        q.admit(P, E, &lost).await.unwrap();
        assert_eq!(q.settle(P, E, &kept[1..]).await.unwrap(), [Moved::Done]);
        old.kill();
        replicas().for_each(|replica| replica.resume().unwrap());
        servers.wait_other_master(old).unwrap();
        let all = [kept.clone(), lost.clone()].concat();
        let missing = until(async || q.missing(P, E, &keys(&all)).await).await;
        assert_eq!(missing, keys(&lost));
        // The move is undone, too: it is in the temp queue again, and is moved again.
        assert!(scan_all(&q, P).await.contains(&("kept-2".into(), 2, false)));
        q.admit(P, E, &lost).await.unwrap();
        assert_eq!(q.settle(P, E, &kept[1..]).await.unwrap(), [Moved::Done]);
        assert!(q.missing(P, E, &keys(&all)).await.unwrap().is_empty());
    });
}

/// What a server loads that was saved some time ago: what came since is missing, what has left since is there again.
#[test]
fn an_old_snapshot_is_noticed() {
    let w = Real::alone();
    run(async {
        let q = w.queue();
        q.claim(P, E).await.unwrap();
        let old = [entry("a", 1, "a"), entry("b", 2, "b")];
        q.admit(P, E, &old).await.unwrap();
        w.command(&["SAVE"]);
        q.remove(P, E, &keys(&old[..1])).await.unwrap();
        let new = [entry("c", 3, "c")];
        q.admit(P, E, &new).await.unwrap();
        w.server().restart().unwrap();
        let all = [old, [new[0].clone(), entry("d", 4, "d")]].concat();
        let missing = until(async || q.missing(P, E, &keys(&all)).await).await;
        assert_eq!(missing, keys(&all[2..]));
        let depths = q.depths(&[P]).await.unwrap();
        assert_eq!(depths[0].temp, 2, "what had left is counted, so that it is looked for");
    });
}

/// One of a cluster's masters dies under load: its partitions go on at its replica, the others all the time.
#[test]
fn a_master_of_a_cluster_dies_under_load() {
    let servers = Cluster::start().unwrap();
    let q = queue(&servers);
    run(async {
        let mut owner = Owner::of(&q, 8).await;
        owner.rounds_until(20, || true).await;
        let key = "{together:group:topic:0}:temp";
        let old = servers.owner(key).unwrap();
        old.kill();
        let others = || servers.owner(key).is_ok_and(|node| node.port() != old.port());
        owner.rounds_until(20, others).await;
        old.restart().unwrap();
        owner.rounds_until(20, || true).await;
        owner.check().await;
        println!("{:?}", owner.met);
        assert!(owner.met.refused > 0, "{:?}", owner.met);
    });
    servers.wait_whole().unwrap();
}

/// A slot moves with its keys, one by one, while they are written to; scripts that nobody there knows are sent again.
#[test]
fn a_slot_moves_under_load() {
    let servers = Cluster::start().unwrap();
    let q = queue(&servers);
    let key = "{together:group:topic:0}:temp";
    let before = servers.owner(key).unwrap().port();
    let [begins, is_over] = [false, false].map(AtomicBool::new);
    let (servers, begins, is_over) = (&servers, &begins, &is_over);
    std::thread::scope(|scope| {
        let moving = scope.spawn(move || {
            tollbridge_rig::wait_until("load", PATIENCE, || begins.load(Ordering::Relaxed))
                .unwrap();
            let moved = servers.move_slot(key, || std::thread::sleep(Duration::from_millis(300)));
            is_over.store(true, Ordering::Relaxed);
            moved.unwrap().port()
        });
        run(async {
            let mut owner = Owner::of(&q, 4).await;
            owner.rounds_until(20, || true).await;
            begins.store(true, Ordering::Relaxed);
            owner.rounds_until(20, || is_over.load(Ordering::Relaxed)).await;
            owner.rounds_until(20, || true).await;
            owner.check().await;
            println!("{:?}", owner.met);
            assert!(owner.met.refused > 0, "{:?}", owner.met);
            assert_eq!((owner.met.reclaimed, owner.met.refilled), (0, 0), "nothing is lost by it");
        });
        let after = moving.join().unwrap();
        assert_ne!(after, before);
        assert_eq!(servers.owner(key).unwrap().port(), after);
    });
}

/// Each kind of server is told from what the settings say of it, with the key and what to do.
#[test]
fn another_kind_of_server_is_named() {
    let (single, together) = (shared_redis().url(), shared_cluster().url());
    let one_node = together.split(',').next().unwrap().to_owned();
    let under_sentinels = sentinels();
    let sentinel =
        |master: &str| Topology::Sentinel { master: master.into(), user: None, password: None };
    let one_sentinel = under_sentinels.servers.url().split(',').next().unwrap().to_owned();
    let found = |said, found| Some(Misfit::Topology { said, found });
    for (url, topology, expected) in [
        (&one_node, Topology::Single, found("single", Kind::Node)),
        (&one_sentinel, Topology::Single, found("single", Kind::Sentinel)),
        (&single, Topology::Cluster, found("cluster", Kind::Server)),
        (&single, sentinel("main"), found("sentinel", Kind::Server)),
        (&one_sentinel, sentinel("other"), Some(Misfit::Master("other".into()))),
        (&single, Topology::Single, None),
        (&together, Topology::Cluster, None),
        (&one_sentinel, sentinel("main"), None),
    ] {
        let q = RedisQueue::new(&Settings { topology, ..settings(url, "p") }).unwrap();
        run(async {
            assert_eq!(q.misfit().await.unwrap(), expected, "{url}");
            if expected.is_some_and(|misfit| misfit.is_of_a_key()) {
                // One node has some partitions, and not all.
                let mut classes = Vec::new();
                for partition in (0..16).map(Partition) {
                    classes.push(class(&q.claim(partition, E).await));
                }
                assert!(classes.contains(&"permanent"), "{url}: {classes:?}");
                assert!(classes.iter().all(|class| matches!(*class, "permanent" | "ok")));
            }
        });
    }
}

/// A cluster that lacks slots says so; so does a health that is the worst of its masters'.
#[test]
fn a_cluster_without_all_slots_is_named() {
    let servers = Cluster::start_with(&RedisOptions {
        args: ["--cluster-require-full-coverage", "no"].map(str::to_owned).into(),
        ..RedisOptions::default()
    });
    let servers = servers.unwrap();
    let w: Together<Cluster, Cluster> = Together::on(servers);
    run(async {
        assert_eq!(w.queue().misfit().await.unwrap(), None);
        let last = Cluster::masters(&w.servers)[2];
        last.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
        assert_eq!(w.queue().health().await.unwrap().eviction_policy, "allkeys-lru");
        for node in w.servers.nodes() {
            node.command(&["CLUSTER", "DELSLOTSRANGE", "0", "9"]).ok();
        }
        assert_eq!(w.queue().misfit().await.unwrap(), Some(Misfit::Slots(10)));
    });
}

/// Rights are counted up; those of a cluster's user are the same and some.
#[test]
fn rights_that_are_lacking_are_named() {
    let w = cluster();
    let everywhere = |words: &[&str]| {
        for node in w.servers.nodes() {
            node.command(words).unwrap();
        }
    };
    everywhere(&["ACL", "SETUSER", "few", "on", ">pw", "~*", "+@all", "-hset", "-hscan"]);
    let url = w.servers.url().replace("redis://", "redis://few:pw@");
    let q = RedisQueue::new(&Settings { url, ..w.servers.settings("few") }).unwrap();
    run(async {
        let expected = Misfit::Rights(vec!["HSET".into(), "HSCAN".into()]);
        assert_eq!(q.rights().await.unwrap(), Some(expected));
        everywhere(&["ACL", "SETUSER", "few", "+hset", "+hscan"]);
        assert_eq!(q.rights().await.unwrap(), None);
    });
}

/// Asks until it works.
async fn until<T>(
    mut ask: impl AsyncFnMut() -> Result<T, tollbridge::ports::queue::QueueError>,
) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(tollbridge::ports::queue::QueueError::Transient(_)) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn wait_same<'a>(master: &Redis, replicas: impl Iterator<Item = &'a Redis>) {
    let at = |server: &Redis| {
        let told = server.command(&["INFO", "replication"]).unwrap().text();
        let names = ["slave_repl_offset:", "master_repl_offset:"];
        let line = names.iter().find_map(|n| told.lines().find_map(|l| l.strip_prefix(*n)));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    for replica in replicas {
        let wanted = at(master);
        let same = || at(replica) >= wanted;
        tollbridge_rig::wait_until("a replica to have all", PATIENCE, same).unwrap();
    }
}
