//! `tollbridge generate`: a producer of realistic transactions, for trying things and for tests. Nothing of the
//! route uses it.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::progress::Progress;
use super::{ConfigArgs, print};
use crate::adapters::kafka::{Admin, AskError, Feed, Feeder};
use crate::app::exit::Exit;
use crate::app::pace::Pace;
use crate::app::settings;
use crate::config::Config;
use crate::config::transactions::Format;
use crate::domain::id::{TRANSACTION_ID_CHARS_MAX, TransactionId};

pub mod mix;
pub mod sample;

use mix::{Kind, Mix};
use sample::{Encoding, Recipe, Sample, Samples};

/// Produce realistic transactions
///
/// Writes to the configured topic and prints a JSON summary of what it produced. The same seed gives the same
/// records again, ids included: to produce new ones, choose another seed or --start-id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge generate --config tollbridge.toml --count 1000
  tollbridge generate --config tollbridge.toml --count 100000 --rate 500 --seed 7 \\
      --mix declined=3%,invalid=0.1%,duplicate=0.5%,conflict=0.1%

Kinds in --mix (all others are good):
  declined    a payment method that gateway-sim declines
  invalid     breaks a rule: no value, cut off, a card number, a field missing, unknown currency, amount 0, bad id
  duplicate   an earlier record again, in half of the cases on another partition
  conflict    an earlier id with another amount")]
pub struct GenerateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How many records, repeats and invalid ones included
    #[arg(long, value_name = "N")]
    pub count: u64,
    /// Records a second [default: as fast as the brokers take them]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// What everything follows from [default: a new one each time; the summary tells it]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Shares of the kinds
    #[arg(long, value_name = "MIX", default_value = "")]
    pub mix: Mix,
    /// What ids begin with; a number follows [default: tx-<seed>-]
    #[arg(long, value_name = "PREFIX")]
    pub start_id: Option<String>,
    /// How records are written [default: as transactions.format says, which for auto is json]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatArg {
    Json,
    Avro,
    AvroConfluent,
}

pub fn run(config: &Config, args: &GenerateArgs) -> anyhow::Result<Exit> {
    let settings = settings::kafka(config);
    let topic = &settings.topics.transactions;
    let admin = Admin::new(&settings).map_err(|error| Exit::BadConfig.because(error))?;
    let unavailable = |error| unavailable(&settings.brokers, &error);
    let found = admin.partitions(&[topic]).map_err(unavailable)?;
    let Some(partitions) = found.get(topic).copied().flatten() else {
        let why =
            anyhow::anyhow!("there is no topic {topic:?} (kafka.topics.transactions); create it");
        return Err(Exit::Unavailable.because(why));
    };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let recipe = Recipe {
        seed,
        mix: args.mix,
        encoding: encoding(config, args.format),
        partitions: u32::try_from(partitions)?,
        id_prefix: prefix(args, seed)?,
    };
    let feeder = Feeder::new(&settings).map_err(|error| Exit::BadConfig.because(error))?;
    let mut tally = Tally::default();
    let progress = Progress::new("producing", args.count);
    let mut pace = Pace::new(args.rate);
    let count = usize::try_from(args.count)?;
    for sample in Samples::new(recipe).take(count) {
        pace.wait();
        feeder.send(&feed(topic, &sample)).map_err(unavailable)?;
        tally.add(&sample);
        progress.add(1);
    }
    feeder.flush().map_err(unavailable)?;
    progress.finish();
    print(&tally.summary(seed, topic).to_string())?;
    Ok(Exit::Done)
}

fn unavailable(brokers: &str, error: &AskError) -> anyhow::Error {
    let remedy = "start the brokers, or correct kafka.brokers";
    Exit::Unavailable.because(anyhow::anyhow!("kafka {brokers}: {error}; {remedy}"))
}

fn feed<'a>(topic: &'a str, sample: &'a Sample) -> Feed<'a> {
    Feed {
        topic,
        partition: Some(sample.partition),
        key: Some(&sample.key),
        value: sample.value.as_deref(),
        headers: &sample.headers,
        timestamp_ms: None,
    }
}

fn encoding(config: &Config, format: Option<FormatArg>) -> Encoding {
    match (format, config.transactions.format) {
        (Some(FormatArg::Json), _) | (None, Format::Auto | Format::Json) => Encoding::Json,
        (Some(FormatArg::Avro), _) | (None, Format::Avro) => Encoding::Avro,
        (Some(FormatArg::AvroConfluent), _) | (None, Format::AvroConfluent) => {
            Encoding::AvroConfluent
        }
    }
}

/// The prefix, checked together with the longest number that can follow.
fn prefix(args: &GenerateArgs, seed: u64) -> anyhow::Result<String> {
    let prefix = args.start_id.clone().unwrap_or_else(|| format!("tx-{seed}-"));
    let longest = format!("{prefix}{}", args.count);
    TransactionId::parse(&longest).map_err(|why| {
        anyhow::anyhow!(
            "--start-id {prefix:?} gives ids such as {longest:?}: {why}; at most {TRANSACTION_ID_CHARS_MAX} characters"
        )
    })?;
    Ok(prefix)
}

/// What was produced.
#[derive(Default)]
struct Tally {
    kinds: BTreeMap<&'static str, u64>,
    /// Kind, then currency: minor units.
    money: BTreeMap<&'static str, BTreeMap<String, i64>>,
}

impl Tally {
    fn add(&mut self, sample: &Sample) {
        *self.kinds.entry(sample.kind.as_str()).or_default() += 1;
        if let Some((currency, amount)) = sample.money {
            let sums = self.money.entry(sample.kind.as_str()).or_default();
            *sums.entry(currency.to_string()).or_default() += amount.minor_units();
        }
    }

    fn summary(&self, seed: u64, topic: &str) -> serde_json::Value {
        let count = |kind: Kind| self.kinds.get(kind.as_str()).copied().unwrap_or_default();
        let kinds: BTreeMap<&str, u64> =
            Kind::ALL.into_iter().map(|kind| (kind.as_str(), count(kind))).collect();
        let records: u64 = kinds.values().sum();
        json!({
            "topic": topic,
            "seed": seed,
            "records": records,
            "kinds": kinds,
            "minor_units": self.money,
        })
    }
}
