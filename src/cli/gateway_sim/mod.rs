//! `tollbridge gateway-sim`: a payment gateway to try things with. It speaks the generic profile over HTTP, writes
//! every decision to a ledger that outlives a crash, and misbehaves as a script says.
//!
//! Not a toy to be trusted less than the rest: its ledger is what every test of the whole holds against us.

mod desk;
mod faults;
mod http;
mod ledger;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::desk::Desk;
pub use self::faults::{Faults, FaultsError};
use crate::app::exit::Exit;
use crate::config::units::Period;

/// Simulate a payment gateway, with faults on demand and a ledger of every charge
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct GatewaySimArgs {
    /// Where it listens; port 0 picks a free one, and the first line on stdout tells which
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// The file that every decision is written to, and synced, before it is answered. Read back at the start
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    /// A script of faults (TOML); the long help shows one
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// How long an idempotency key is remembered
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub key_ttl: Period,
    /// How long every answer takes at least
    #[arg(long, value_name = "DURATION", default_value = "0ms")]
    pub latency: Period,
    /// Accept only requests whose Authorization header is a line of this file; others get 401. It is read for each
    /// request, so that credentials can be exchanged meanwhile: rename another file to its name
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
}

const HELP: &str = r#"Examples:
  tollbridge gateway-sim --listen 127.0.0.1:9400 --ledger ledger.jsonl
  tollbridge gateway-sim --listen 127.0.0.1:9400 --ledger ledger.jsonl --faults faults.toml --latency 20ms

What it answers:
  POST /charges        with an Idempotency-Key; 200 approved or declined, 400 invalid_request, 409 in_progress,
                       422 key_reused; a replay carries Idempotent-Replayed: true
  GET /charges/{id}    the charge, else the latest decline, else 404 not_found; 409 while it is being decided
  GET /ledger          the ledger
  GET /healthz         200 once it listens
A payment method that starts with pm_decline is always declined.

The ledger has one JSON line a decision: key, transaction_id, amount, currency, outcome (charged, declined),
at (microseconds since 1970), id, attempt, body_sha256, code. FILE.attempts has one a request, not synced.

A script of faults. The first fault that fits a request is used; decline and slow go together with others:
  seed = 7                      # which transactions are hit depends on this and their ids alone
  [[fault]]
  kind = "timeout-after"        # charges, and never answers
  rate = 0.05                   # of all transactions; default 1
  attempts = [1, 2]             # of each transaction; or "all"; default [1], for decline "all"
  match = ["tx-a"]              # ids that start so; default all
  # on = "lookup"               # lookups instead of charges: for kinds marked *; attempts counts lookups then
  delay = "2s"                  # for slow and late kinds; default 1s
  status = 503                  # for error kinds; default 500
  retry_after = "2s"            # for throttle, default 1s; for error kinds, default none
  code = "insufficient_funds"   # for declines; default as named below

Kinds:
  decline           declines (insufficient_funds)
  decline-unkept    declines (limit_exceeded), keeps no record, decides the next attempt anew
  decline-ahead     declines (limit_exceeded) without looking at the key; nobody remembers it
  timeout-before *  never answers, charges nothing      timeout-after     charges, never answers
  late-charge       takes it, charges after the delay, never answers; 409 meanwhile
  late-arrival      the request arrives after the delay, its answer goes nowhere
  error-before *    an error, nothing charged           error-after       charges, answers with an error
  throttle *        429 with Retry-After                slow *            answers after the delay
  cut-before *      closes, nothing charged             cut-after         charges, closes
  cut-midway        charges, closes within the answer   garbage           charges, answers with no JSON
  wrong-id          charges, names another transaction  wrong-amount      charges, names another amount
  duplicate-code    charges, says declined (duplicate_transaction)
  html *            403 with a page, nothing charged    forget-key        forgets the key: may charge twice"#;

/// Until it is told to stop: SIGTERM and SIGINT end it with 0.
pub fn run(args: GatewaySimArgs) -> anyhow::Result<Exit> {
    super::block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| Exit::Unavailable.because(error))
            .with_context(|| format!("--listen {}", args.listen))?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let simulator = Simulator::open(&args)?;
        super::print(&format!("listening on {}", listener.local_addr()?))?;
        let stop = async move {
            tokio::select! { biased; _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        };
        simulator.serve(listener, stop).await?;
        Ok(Exit::Done)
    })
}

/// The gateway with its ledger open. Runs in a tokio runtime; one thread is enough.
#[derive(Debug)]
pub struct Simulator {
    desk: Arc<Desk>,
    writer: ledger::Writer,
    credentials: Option<Arc<Path>>,
}

impl Simulator {
    /// Reads the script and the ledger.
    ///
    /// # Errors
    /// A script that breaks a rule, a ledger that is another's, in use, or can't be read.
    pub fn open(args: &GatewaySimArgs) -> anyhow::Result<Self> {
        let faults = match &args.faults {
            Some(path) => Faults::read(path).map_err(|error| Exit::BadConfig.because(error))?,
            None => Faults::default(),
        };
        let (book, file) = ledger::open(&args.ledger)?;
        let writer = ledger::Writer::start(file)?;
        let terms = desk::Terms { key_ttl: args.key_ttl.0, latency: args.latency.0, faults };
        let desk = Arc::new(Desk::new(book, terms, writer.sender(), args.ledger.clone()));
        let credentials = args.credentials.as_deref().map(Arc::from);
        Ok(Self { desk, writer, credentials })
    }

    /// Serves until `stop` is done, or until the ledger can't be written.
    ///
    /// # Errors
    /// Why the ledger can't be written.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let (desk, credentials) = (Arc::clone(&self.desk), self.credentials.take());
        let ended = tokio::select! {
            biased;
            () = stop => Ok(()),
            failed = self.writer.deliver(&self.desk) => Err(failed),
            () = http::accept(&listener, desk, credentials) => Ok(()),
        };
        // What was written is complete; what was not answered may be missing.
        self.writer.finish();
        ended.context("the ledger can't be written")
    }
}

/// A script's default wait.
const DEFAULT_DELAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_in_the_help_can_be_used_and_every_kind_is_named_there() {
        let script: Vec<&str> = HELP
            .lines()
            .skip_while(|line| !line.contains("seed ="))
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(script.len() > 8, "{script:?}");
        Faults::parse(&script.join("\n")).unwrap();
        // The parser names every kind that there is.
        let unknown = Faults::parse("[[fault]]\nkind = 'none'").unwrap_err().to_string();
        let is_kind = |word: &&str| {
            *word != "none" && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        };
        let mut count = 0;
        for kind in unknown.split('`').filter(is_kind).filter(|word| !word.is_empty()) {
            count += 1;
            assert!(HELP.contains(&format!("  {kind} ")), "{kind}");
        }
        assert_eq!(count, 20, "{unknown}");
    }
}
