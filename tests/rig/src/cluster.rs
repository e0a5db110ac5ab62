//! A cluster of three masters, each with a replica: slots that move, and masters that die. Who takes over is for the
//! nodes themselves to decide.

use crate::error::{Error, Result};
use crate::ports::free_port;
use crate::sentinels::{follows, is_master};
use crate::wait::wait_for;
use crate::{Redis, RedisOptions, Reply};
use std::time::Duration;

/// Of every cluster.
pub const SLOTS: u16 = 16_384;
const MASTERS: usize = 3;
/// A node is missed after so many milliseconds.
const NODE_TIMEOUT: &str = "2000";
/// On a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The nodes. Dropping it kills them all.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Of Redis servers.
    ///
    /// # Errors
    /// When one does not start, or they do not find together.
    pub fn start() -> Result<Self> {
        Self::start_with(&RedisOptions::default())
    }

    /// Of servers like this one; none of them keeps anything on disk.
    ///
    /// # Errors
    /// As for [`Cluster::start`].
    pub fn start_with(options: &RedisOptions) -> Result<Self> {
        let nodes = std::thread::scope(|scope| {
            let each = (0..2 * MASTERS).map(|_| scope.spawn(|| node(options)));
            let each: Vec<_> = each.collect();
            let panicked = |_| Error::new("a node's start panicked");
            each.into_iter().map(|node| node.join().map_err(panicked)?).collect::<Result<_>>()
        })?;
        let cluster = Self { nodes };
        cluster.meet()?;
        cluster.share_slots()?;
        cluster.wait_whole()?;
        Ok(cluster)
    }

    fn meet(&self) -> Result<()> {
        let [first, others @ ..] = self.nodes.as_slice() else { return Ok(()) };
        for (epoch, node) in self.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(epoch + 1).to_string()])?;
        }
        for node in others {
            let (port, bus) = (node.peer_port().to_string(), bus(node)?);
            first.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        let all = format!("cluster_known_nodes:{}", self.nodes.len());
        wait_for("nodes to know each other", LIMIT, || {
            let mut infos = self.nodes.iter().map(|node| node.command(&["CLUSTER", "INFO"]));
            let knows = |told: Result<Reply>| told.is_ok_and(|told| told.text().contains(&all));
            Ok(infos.all(knows).then_some(()))
        })
    }

    fn share_slots(&self) -> Result<()> {
        let (masters, replicas) = self.nodes.split_at(MASTERS);
        let share = |at: usize| usize::from(SLOTS) * at / MASTERS;
        for (at, master) in masters.iter().enumerate() {
            let (from, to) = (share(at).to_string(), (share(at + 1) - 1).to_string());
            master.command(&["CLUSTER", "ADDSLOTSRANGE", &from, &to])?;
        }
        for (master, replica) in masters.iter().zip(replicas) {
            let id = id(master)?;
            wait_for("a replica to know its master", LIMIT, || {
                Ok(replica.command(&["CLUSTER", "REPLICATE", &id]).ok())
            })?;
        }
        Ok(())
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The URL that names three nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts = self.nodes.iter().take(MASTERS).map(|n| format!("127.0.0.1:{}", n.peer_port()));
        format!("redis://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// The nodes that are masters by their own account.
    #[must_use]
    pub fn masters(&self) -> Vec<&Redis> {
        self.nodes.iter().filter(|node| is_master(node)).collect()
    }

    /// The slot of a key.
    ///
    /// # Errors
    /// When no node answers.
    pub fn slot(&self, key: &str) -> Result<u16> {
        let mut asked = self.nodes.iter().filter_map(|n| {
            n.command(&["CLUSTER", "KEYSLOT", key]).ok()?.integer()?.try_into().ok()
        });
        asked.next().ok_or_else(|| Error::new("no node answers"))
    }

    /// The master that has a key's slot, by its own account.
    ///
    /// # Errors
    /// When there is none.
    pub fn owner(&self, key: &str) -> Result<&Redis> {
        let mut masters = self.masters().into_iter();
        masters
            .find(|node| serves(node, key))
            .ok_or_else(|| Error::new(format!("nobody has the slot of {key}")))
    }

    /// Waits until every node sees every slot served, and every replica follows its master.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn wait_whole(&self) -> Result<()> {
        let served = format!("cluster_slots_ok:{SLOTS}");
        wait_for("the cluster to be whole", LIMIT, || {
            let whole = |node: &Redis| {
                let told = node.command(&["CLUSTER", "INFO"]).map(|told| told.text());
                // A node that has just seen all slots still refuses for a while.
                told.is_ok_and(|told| told.contains("cluster_state:ok") && told.contains(&served))
            };
            let masters = self.masters();
            let followed = |master: &&Redis| self.nodes.iter().any(|n| follows(n, master));
            let is_whole = masters.len() == MASTERS
                && masters.iter().all(followed)
                && self.nodes.iter().all(whole);
            Ok(is_whole.then_some(()))
        })
    }

    /// Waits until another node than this one, which is not asked, has the key's slot; gives it.
    ///
    /// # Errors
    /// When none has in time.
    pub fn wait_other_owner(&self, key: &str, than: &Redis) -> Result<&Redis> {
        wait_for("another node to take over", LIMIT, || {
            let mut others = self.nodes.iter().filter(|node| node.port() != than.port());
            Ok(others.find(|node| is_master(node) && serves(node, key)))
        })
    }

    /// Moves the slot of a key to another master, as `redis-cli --cluster reshard` does; gives that one. In between,
    /// when the slot is open and when some of its keys have moved, `pause` is called.
    ///
    /// # Errors
    /// When a node refuses a step.
    pub fn move_slot(&self, key: &str, mut pause: impl FnMut()) -> Result<&Redis> {
        let (slot, from) = (self.slot(key)?.to_string(), self.owner(key)?);
        let mut others = self.masters().into_iter().filter(|node| node.port() != from.port());
        let to = others.next().ok_or_else(|| Error::new("there is one master alone"))?;
        let (from_id, to_id) = (id(from)?, id(to)?);
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])?;
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])?;
        pause();
        let port = to.peer_port().to_string();
        while let Reply::Array(keys) = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"])? {
            let Some(key) = keys.first().map(Reply::text) else { break };
            from.command(&["MIGRATE", "127.0.0.1", &port, &key, "0", "30000"])?;
            pause();
        }
        // The new owner first: else a node could think the slot nobody's.
        for node in [to, from].into_iter().chain(self.masters()) {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])?;
        }
        Ok(to)
    }
}

fn node(options: &RedisOptions) -> Result<Redis> {
    let bus = free_port().to_string();
    let args = [
        ["--cluster-enabled", "yes"],
        ["--cluster-port", &bus],
        ["--cluster-node-timeout", NODE_TIMEOUT],
        // A replica that lost its link a while ago may take over all the same.
        ["--cluster-replica-validity-factor", "0"],
        ["--repl-diskless-sync-delay", "0"],
        ["--tls-cluster", if options.tls.is_some() { "yes" } else { "no" }],
    ];
    let args = args.concat().into_iter().map(str::to_owned).chain(options.args.clone()).collect();
    Redis::start_with(RedisOptions { appendonly: false, args, ..options.clone() })
}

/// Whether the slot of the key is its own.
fn serves(node: &Redis, key: &str) -> bool {
    node.command(&["EXISTS", key]).is_ok()
}

fn id(node: &Redis) -> Result<String> {
    Ok(node.command(&["CLUSTER", "MYID"])?.text())
}

fn bus(node: &Redis) -> Result<String> {
    match node.command(&["CONFIG", "GET", "cluster-port"])? {
        Reply::Array(told) if told.len() == 2 => Ok(told[1].text()),
        other => Err(Error::new(format!("a node has no bus but {other:?}"))),
    }
}
