//! Which server is the master is for Sentinels to say. They are asked whenever a connection is made, and never in
//! between: a master that has been replaced closes its connections, or answers that it is read-only.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisConnectionInfo,
    RedisError, RedisResult, Value,
};

use super::client::Roots;

pub(super) struct Sentinels {
    each: Vec<Client>,
    master: String,
    /// How to speak to the master, wherever it is.
    like: ConnectionInfo,
    roots: Roots,
}

impl Sentinels {
    /// `hosts` carry what the master wants to know: user, password, database. Sentinels have a log-in of their own.
    pub(super) fn new(
        hosts: Vec<ConnectionInfo>,
        master: String,
        (user, password): (Option<&str>, Option<&str>),
        roots: Roots,
    ) -> RedisResult<Self> {
        let like = hosts.first().cloned();
        let like = like.ok_or((ErrorKind::EmptySentinelList, "no Sentinel is named"))?;
        let mut login = RedisConnectionInfo::default();
        if let Some(user) = user {
            login = login.set_username(user);
        }
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let own = |host: ConnectionInfo| roots.client(host.set_redis_settings(login.clone()));
        let each = hosts.into_iter().map(own).collect::<RedisResult<_>>()?;
        Ok(Self { each, master, like, roots })
    }

    /// A connection to the master: the first that a Sentinel names and that says the same of itself. Where there is
    /// none, what the last Sentinel said.
    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no Sentinel is named"));
        for sentinel in &self.each {
            match self.through(sentinel, config).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn through(
        &self,
        sentinel: &Client,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let mut asked = sentinel.get_multiplexed_async_connection_with_config(config).await?;
        let mut which = redis::cmd("SENTINEL");
        which.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let address: Option<(String, u16)> = which.query_async(&mut asked).await?;
        let Some((host, port)) = address else {
            let kind = ErrorKind::MasterNameNotFoundBySentinel;
            return Err((kind, "the Sentinel knows no such master", self.master.clone()).into());
        };
        let server = self.like.clone().set_addr(at(self.like.addr(), host, port));
        let client = self.roots.client(server)?;
        let mut master = client.get_multiplexed_async_connection_with_config(config).await?;
        let role: Value = redis::cmd("ROLE").query_async(&mut master).await?;
        match role {
            Value::Array(told) if told.first() == Some(&Value::BulkString(b"master".into())) => {
                Ok(master)
            }
            _ => Err((ErrorKind::Io, "the server that the Sentinel names is no master yet").into()),
        }
    }
}

/// Another address, reached in the same manner.
fn at(like: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}
