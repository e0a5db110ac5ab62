//! `tollbridge gateway-sim`: a payment gateway to try things with.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::app::exit::Exit;

/// Simulate a payment gateway, with faults on demand and a ledger of every charge
#[derive(Debug, Args)]
pub struct GatewaySimArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// The file that every charge is written to before it is answered
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    /// A script of faults
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

pub fn run(_: GatewaySimArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("gateway-sim is not built yet")
}
