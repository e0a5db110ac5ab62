//! The user of the runbook: its lines are read from there and used as they stand. All that the route does works with
//! them, and of a single server's none can be left out.

use std::path::Path;

use tollbridge::adapters::redis::{Misfit, RedisQueue, Settings};
use tollbridge::domain::id::Partition;
use tollbridge::ports::queue::{Queue, QueueError};
use tollbridge_rig::{Cluster, Redis, Sentinels};

use crate::values::{E, P, class, entry, keys};
use crate::world::{Masters, Real, run, settings};

/// The lines of the runbook that grant rights: of any server, then what is added under Sentinels and in a cluster.
fn lines() -> [String; 3] {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("ACL SETUSER tollbridge "));
    lines.map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

fn say(servers: &[Redis], line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    servers.iter().for_each(|server| drop(server.command(&words).unwrap()));
}

/// The user's queue; with another prefix than the lines have, no key would be its own.
fn queue(settings: &Settings) -> RedisQueue {
    let url = settings.url.replace("redis://", "redis://tollbridge:CHANGE-ME@");
    RedisQueue::new(&Settings { url, ..settings.clone() }).unwrap()
}

async fn does_everything(q: &RedisQueue) -> Result<(), QueueError> {
    let (one, none) = ([entry("a", 1, "a")], q.misfit().await?);
    assert_eq!(none, None);
    q.health().await?;
    if let Some(Misfit::Rights(refused)) = q.rights().await? {
        return Err(QueueError::Permanent(refused.join(" ")));
    }
    for partition in (0..16).map(Partition) {
        q.claim(partition, E).await?;
        q.admit(partition, E, &one).await?;
        q.mark(partition, E, &one).await?;
        q.settle(partition, E, &one).await?;
        q.scan(partition, None).await?;
        q.missing(partition, E, &keys(&one)).await?;
        q.find(&[partition], &one[0].key.id).await?;
        q.remove(partition, E, &keys(&one)).await?;
    }
    q.depths(&(0..16).map(Partition).collect::<Vec<_>>()).await.map(drop)
}

fn enough_and_none_too_many(server: &Real) {
    let servers = std::slice::from_ref(server.server());
    let [line, ..] = lines();
    say(servers, &line);
    let settings = settings(&server.server().url(), "tollbridge");
    run(does_everything(&queue(&settings))).unwrap();
    for right in line.split_whitespace().filter_map(|word| word.strip_prefix('+')) {
        say(servers, &format!("ACL SETUSER tollbridge -{right}"));
        say(servers, "SCRIPT FLUSH");
        let refused = run(does_everything(&queue(&settings)));
        assert_eq!(class(&refused), "permanent", "without {right}: {refused:?}");
        let said = format!("{refused:?}").to_lowercase();
        assert!(said.contains(right), "without {right}: {said}");
        say(servers, &format!("ACL SETUSER tollbridge +{right}"));
    }
    run(does_everything(&queue(&settings))).unwrap();
}

#[test]
fn on_redis() {
    enough_and_none_too_many(&Real::alone());
}

#[test]
fn on_valkey() {
    enough_and_none_too_many(&Real::valkey_alone());
}

#[test]
fn under_sentinels() {
    let servers = Sentinels::start().unwrap();
    let [line, more, _] = lines();
    say(servers.servers(), &line);
    let settings = servers.settings("tollbridge");
    let refused = run(does_everything(&queue(&settings)));
    assert!(format!("{refused:?}").contains("'role'"), "{refused:?}");
    say(servers.servers(), &more);
    run(does_everything(&queue(&settings))).unwrap();
}

/// Where a slot is open, keys that have moved are found where they are; some here and some there is a passing state.
#[test]
fn in_a_cluster_while_a_slot_moves() {
    let servers = Cluster::start().unwrap();
    let [line, _, more] = lines();
    say(servers.nodes(), &line);
    let settings = servers.settings("tollbridge");
    let refused = run(does_everything(&queue(&settings)));
    assert!(format!("{refused:?}").contains("'cluster|slots'"), "{refused:?}");
    say(servers.nodes(), &more);
    run(does_everything(&queue(&settings))).unwrap();
    let three = [entry("a", 1, "a"), entry("b", 2, "b")];
    run(async {
        let q = queue(&settings);
        q.admit(P, E, &three).await.unwrap();
        q.settle(P, E, &three[..1]).await.unwrap();
    });
    let mut met = Vec::new();
    let key = format!("{{tollbridge:group:topic:{P}}}:epoch");
    let ask = || run(async { class(&queue(&settings).missing(P, E, &keys(&three)).await) });
    servers.move_slot(&key, || met.push(ask())).unwrap();
    assert_eq!(met, ["ok", "transient", "transient", "ok"]);
    assert_eq!(ask(), "ok");
}

/// Keys of another prefix are another's.
#[test]
fn keys_of_another_prefix_are_refused() {
    let w = Real::alone();
    say(std::slice::from_ref(w.server()), &lines()[0]);
    let refused = run(does_everything(&queue(&settings(&w.server().url(), "tollbridges"))));
    assert_eq!(class(&refused), "permanent", "{refused:?}");
}
