//! The command line: reads arguments, loads the configuration, sets up what concerns the whole process, and hands
//! over to one command. Commands live in a file each; what they do for a living lives in `app`.
//!
//! Data goes to stdout, everything else to stderr. Exit codes are those of [`Exit`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::app::exit::{Exit, Failed};
use crate::app::limits;
use crate::config::process::{Log, LogFormat};
use crate::config::{Config, Override, Sources};
use crate::telemetry::log;

pub mod check_config;
pub mod config;
pub mod dlq;
mod exits;
pub mod gateway;
pub mod gateway_sim;
pub mod generate;
pub mod migrate;
pub mod progress;
pub mod rebuild;
pub mod reconcile;
pub mod resolve;
pub mod run;
pub mod trace;

/// Stands between a Kafka topic and a payment gateway: each transaction is charged once, stored once and reported
/// once.
#[derive(Debug, Parser)]
#[command(name = "tollbridge", version, after_help = FIRST_STEPS, max_term_width = 100)]
pub struct Cli {
    /// How log lines on stderr look [default: auto, which is text on a terminal and JSON elsewhere]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogArg>,
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  tollbridge gateway-sim --listen 127.0.0.1:9400 --ledger ledger.jsonl   # a gateway to try it with
  tollbridge check-config --config tollbridge.toml    # is everything there and set up right?
  tollbridge migrate --config tollbridge.toml         # make the tables
  tollbridge generate --config tollbridge.toml --count 1000
  tollbridge run --config tollbridge.toml
  tollbridge reconcile --config tollbridge.toml --ledger ledger.jsonl

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 found problems, 69 something it needs is not there,
78 the configuration is wrong. What they mean for a command: tollbridge COMMAND --help";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogArg {
    Auto,
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    CheckConfig(check_config::CheckConfigArgs),
    Config(config::ConfigCommand),
    Migrate(migrate::MigrateArgs),
    Generate(generate::GenerateArgs),
    Gateway(gateway::GatewayCommand),
    GatewaySim(gateway_sim::GatewaySimArgs),
    Reconcile(reconcile::ReconcileArgs),
    Rebuild(rebuild::RebuildArgs),
    Resolve(resolve::ResolveArgs),
    Trace(trace::TraceArgs),
    Dlq(dlq::DlqArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML). Without one, everything comes from TOLLBRIDGE_… variables and --set
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, over the environment and the file; may be repeated: --set flush.interval=100ms
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
}

impl ConfigArgs {
    pub fn sources(&self) -> Sources {
        Sources::of(self.config.as_deref(), &self.set)
    }

    /// Loads the configuration; every finding goes to stderr, one a line.
    pub fn load(&self) -> anyhow::Result<Config> {
        Config::from_sources(&self.sources()).map_err(|errors| Exit::BadConfig.because(errors))
    }
}

impl Command {
    fn config_args(&self) -> Option<&ConfigArgs> {
        match self {
            Self::Run(args) => Some(&args.config),
            Self::CheckConfig(args) => Some(&args.config),
            Self::Config(args) => Some(args.config_args()),
            Self::Migrate(args) => Some(&args.config),
            Self::Generate(args) => Some(&args.config),
            Self::Reconcile(args) => Some(&args.config),
            Self::Rebuild(args) => Some(&args.config),
            Self::Resolve(args) => Some(&args.config),
            Self::Trace(args) => Some(&args.config),
            Self::Dlq(args) => Some(args.config()),
            Self::Gateway(args) => args.config_args(),
            Self::GatewaySim(_) => None,
        }
    }

    fn run(self, config: Option<Config>) -> anyhow::Result<Exit> {
        match (self, config) {
            (Self::GatewaySim(args), _) => gateway_sim::run(args),
            (Self::Gateway(args), config) => gateway::run(config.as_ref(), args),
            (Self::Run(args), Some(config)) => run::run(config, &args),
            (Self::CheckConfig(args), Some(config)) => check_config::run(&config, &args),
            (Self::Config(args), Some(_)) => config::run(&args),
            (Self::Migrate(_), Some(config)) => migrate::run(&config),
            (Self::Generate(args), Some(config)) => generate::run(&config, &args),
            (Self::Reconcile(args), Some(config)) => reconcile::run(&config, &args),
            (Self::Rebuild(args), Some(config)) => rebuild::run(&config, &args),
            (Self::Resolve(args), Some(config)) => resolve::run(&config, &args),
            (Self::Trace(args), Some(config)) => trace::run(&config, &args),
            (Self::Dlq(args), Some(config)) => dlq::run(&config, args),
            (_, None) => anyhow::bail!("this command needs a configuration"),
        }
    }
}

/// The whole program. Wrong usage ends it here with 2, `--help` with 0.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything else can open a TLS connection; a second call is an error that changes nothing.
    rustls::crypto::ring::default_provider().install_default().ok();
    limits::forbid_core_dumps();
    limits::forbid_huge_pages();
    let arguments = exits::told(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&arguments).unwrap_or_else(|error| error.exit());
    match start(cli) {
        Ok(exit) => exit.code(),
        Err(error) => {
            eprintln!("{error:#}");
            error.downcast_ref::<Failed>().map_or(Exit::Failed, |failed| failed.exit).code()
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<Exit> {
    let config = cli.command.config_args().map(ConfigArgs::load).transpose()?;
    let log = config.as_ref().map_or_else(Log::from_environment, |config| config.log.clone());
    let format = cli.log_format.map_or(log.format, |format| match format {
        LogArg::Auto => LogFormat::Auto,
        LogArg::Text => LogFormat::Text,
        LogArg::Json => LogFormat::Json,
    });
    let json = match format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(false),
        LogFormat::Json => Some(true),
    };
    log::start(json, &log.level, progress::beside)
        .map_err(|error| Exit::BadConfig.because(error))?;
    limits::raise_open_files();
    cli.command.run(config)
}

/// Runs a command's future on a runtime of its own, on this thread.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Writes a line of data to stdout. A reader that has gone away (`| head`) is no error.
pub fn print(line: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
