//! Makes connections: resolve, connect, TLS. All of it within one deadline, and nothing of a request in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::line::{Line, Socket};
use super::settings::{Settings, SettingsError, Target};
use crate::tls;

/// So many of a name's addresses are tried.
const ADDRESSES_MAX: usize = 4;

pub(super) struct Connector {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    deadline: Duration,
    /// Data that stays unacknowledged for longer ends the connection, in milliseconds.
    unacknowledged_ms: u32,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(target: Target, settings: &Settings) -> Result<Self, SettingsError> {
        let tls = if target.tls { Some(tls(&target, settings)?) } else { None };
        Ok(Self {
            target,
            tls,
            deadline: settings.connect_timeout,
            unacknowledged_ms: u32::try_from(settings.timeout.as_millis()).unwrap_or(u32::MAX),
        })
    }

    /// A connection that is ready for its first request.
    pub(super) async fn connect(&self) -> Result<Line, String> {
        let (host, port) = (&self.target.host, self.target.port);
        match timeout(self.deadline, self.try_connect()).await {
            Ok(connected) => connected.map_err(|why| format!("{host}:{port}: {why}")),
            Err(_) => Err(format!("{host}:{port}: no connection within {:?}", self.deadline)),
        }
    }

    async fn try_connect(&self) -> Result<Line, String> {
        let socket = self.socket().await?;
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        rustix::net::sockopt::set_tcp_user_timeout(&socket, self.unacknowledged_ms)
            .map_err(|error| error.to_string())?;
        let socket = match &self.tls {
            None => Socket::Plain(socket),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), socket).await;
                Socket::Tls(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
            }
        };
        Line::over(socket).await
    }

    /// Tries the name's addresses in turn; each gets its share of the time, so that a dead one can't use it up.
    async fn socket(&self) -> Result<TcpStream, String> {
        let name = (self.target.host.as_str(), self.target.port);
        let found = tokio::net::lookup_host(name).await.map_err(|error| error.to_string())?;
        let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
        let share = self.deadline / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut why = "the name has no address".to_owned();
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = format!("{address} did not answer within {share:?}"),
            }
        }
        Err(why)
    }
}

fn tls(
    target: &Target,
    settings: &Settings,
) -> Result<(TlsConnector, ServerName<'static>), SettingsError> {
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| SettingsError::Url("its host is no name that a certificate can have"))?;
    let mut config = tls::client(settings.ca_file.as_deref())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsConnector::from(Arc::new(config)), name))
}
