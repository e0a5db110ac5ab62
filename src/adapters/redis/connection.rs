//! A connection to one server, or those to a cluster's nodes, to be spoken to in the same way. Whom a cluster's
//! client sends a command to follows from its keys; where a slot is moving, or has a new master, it asks there.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisFuture, RedisResult, Value};

use super::client::Way;

#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Way {
    /// One attempt.
    pub(super) async fn connect(&self, config: &AsyncConnectionConfig) -> RedisResult<Connection> {
        match self {
            Self::Server(client) => {
                let made = client.get_multiplexed_async_connection_with_config(config).await;
                made.map(Connection::Server)
            }
            Self::Sentinels(sentinels) => sentinels.connect(config).await.map(Connection::Server),
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl Connection {
    /// The answers of the server, or of each of a cluster's masters, in the order of their addresses.
    pub(super) async fn everywhere(&mut self, cmd: &Cmd) -> RedisResult<Vec<Value>> {
        let cluster = match self {
            Self::Server(server) => {
                return Ok(vec![server.req_packed_command(cmd).await?.extract_error()?]);
            }
            Self::Cluster(cluster) => cluster,
        };
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let Value::Map(mut answers) = cluster.route_command(cmd.clone(), masters).await? else {
            return Err((ErrorKind::UnexpectedReturnType, "the masters gave no list").into());
        };
        answers.sort_by_key(|(address, _)| match address {
            Value::BulkString(address) => address.clone(),
            _ => Vec::new(),
        });
        answers.into_iter().map(|(_, answer)| answer.extract_error()).collect()
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
