//! `tollbridge resolve`: a person's word on a transaction that is in doubt. Only arguments and words; the work is
//! `app::resolve`.

use clap::Args;

use super::progress::Steps;
use super::{ConfigArgs, block_on, print};
use crate::adapters::system::SystemClock;
use crate::app::exit::Exit;
use crate::app::resolve::{self, Done};
use crate::config::Config;
use crate::domain::id::TransactionId;
use crate::domain::resolution::{Finding, Resolution};
use crate::ports::time::Clock;

/// The longest name, and the longest id that a gateway gives.
const TEXT_CHARS_MAX: usize = 200;

/// End an in_doubt transaction, after asking the gateway's operators
///
/// Charged: the row becomes archived, and an event on the archived topic says so. Not charged: an event on the declined
/// topic says so, and the id is charged when it is published again. Either is written to the store's table of
/// resolutions, with the name. Running the same again changes nothing, and adds what an earlier run left out.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("word").required(true).args(["charged", "not_charged"]))]
#[command(after_help = "\
Examples:
  tollbridge resolve --config tollbridge.toml tx-81 --charged ch_9f2 --by alice
  tollbridge resolve --config tollbridge.toml tx-81 --not-charged --by alice")]
pub struct ResolveArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The transaction's id
    #[arg(value_name = "ID", value_parser = TransactionId::parse)]
    pub id: TransactionId,
    /// It was charged: the gateway's own id of the charge
    #[arg(long, value_name = "GATEWAY_ID", value_parser = line)]
    pub charged: Option<String>,
    /// It was never charged; published again, it will be
    #[arg(long)]
    pub not_charged: bool,
    /// Who says so; kept in the audit line
    #[arg(long, value_name = "NAME", value_parser = line)]
    pub by: String,
}

/// A text of one line that is not empty.
fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("it is empty".to_owned()),
        1..=TEXT_CHARS_MAX if text.chars().any(char::is_control) => {
            Err("it has a control character".to_owned())
        }
        1..=TEXT_CHARS_MAX => Ok(text.to_owned()),
        chars => Err(format!("it has {chars} characters, at most {TEXT_CHARS_MAX} are allowed")),
    }
}

pub fn run(config: &Config, args: &ResolveArgs) -> anyhow::Result<Exit> {
    let finding = match &args.charged {
        Some(gateway_id) => Finding::Charged { gateway_id: gateway_id.clone() },
        None => Finding::NotCharged,
    };
    let (id, by) = (args.id.clone(), args.by.clone());
    let resolution = Resolution { id, finding, by, at: SystemClock.now().wall };
    let mut steps = Steps::default();
    let done = block_on(resolve::resolve(config, &resolution, &mut steps));
    steps.finish();
    print(&sentence(&resolution, &done?))?;
    Ok(Exit::Done)
}

fn sentence(resolution: &Resolution, done: &Done) -> String {
    let Done { resolved, topic, is_published } = done;
    let what = match &resolution.finding {
        Finding::Charged { gateway_id } => format!("charged as {gateway_id}, its row is archived"),
        Finding::NotCharged => "not charged; published again, it will be".to_owned(),
    };
    let id = &resolution.id;
    match (resolved.repeated, is_published) {
        (false, _) => {
            format!("{id}: {what}; reported on {topic}, noted as said by {}", resolution.by)
        }
        (true, true) => {
            format!("{id}: {what}; an earlier run changed the row, now it is reported on {topic}")
        }
        (true, false) => format!("{id}: {what}; an earlier run did all of it, nothing was changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line_and_not_empty() {
        assert_eq!(line(" alice "), Ok("alice".to_owned()));
        for bad in ["", "  ", "a\nb", "a\0", &"x".repeat(201)] {
            assert!(line(bad).is_err(), "{bad:?}");
        }
    }
}
