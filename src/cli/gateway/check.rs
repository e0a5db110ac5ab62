//! `tollbridge gateway check`: one real transaction through charge, replay and lookup.

use clap::Args;

use crate::adapters::system::SystemClock;
use crate::app::exit::Exit;
use crate::app::gateway_check;
use crate::cli::{ConfigArgs, block_on, print};
use crate::config::Config;
use crate::domain::id::TransactionId;
use crate::domain::money::{Amount, Currency};
use crate::domain::transaction::Transaction;
use crate::ports::time::Clock;

/// Send one real transaction through charge, replay and lookup
///
/// Money moves, unless it is a gateway for tests. It asks for the charge, asks for the same again, looks it up, and
/// prints how each answer was read. Ends with 3 where the answers contradict each other or the profile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge gateway check --config tollbridge.toml --account acct-1 --payment-method pm_card_visa \\
      --amount 100 --currency EUR")]
pub struct CheckArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The transaction's id, which no other transaction may have [default: check- and the time]
    #[arg(long, value_name = "ID", value_parser = TransactionId::parse)]
    pub id: Option<TransactionId>,
    #[arg(long, value_name = "ACCOUNT")]
    pub account: String,
    /// The gateway's token for what is charged
    #[arg(long, value_name = "TOKEN")]
    pub payment_method: String,
    /// Minor units: 100 is one euro
    #[arg(long, value_name = "N", value_parser = amount)]
    pub amount: Amount,
    #[arg(long, value_name = "CODE", value_parser = currency)]
    pub currency: Currency,
    /// What the profile takes from the transaction's metadata; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,
}

fn amount(text: &str) -> Result<Amount, String> {
    let units = text.parse::<i64>().map_err(|error| error.to_string())?;
    Amount::new(units).map_err(|error| error.to_string())
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| "it is no ISO 4217 code in upper case".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub fn run(config: &Config, args: &CheckArgs) -> anyhow::Result<Exit> {
    let now = SystemClock.now().wall;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => TransactionId::parse(&format!("check-{}", now.0))?,
    };
    let tx = Transaction {
        id,
        account_id: args.account.clone(),
        amount: args.amount,
        currency: args.currency,
        payment_method: args.payment_method.clone(),
        created_at: now,
        description: None,
        metadata: args.metadata.iter().cloned().collect(),
    };
    print(&format!("{}: {} minor units of {}", tx.id, tx.amount.minor_units(), tx.currency))?;
    let flaws = block_on(gateway_check::check(config, &tx, |asking| {
        print(&asking.to_string()).ok();
    }))?;
    for flaw in &flaws {
        print(&format!("wrong {flaw}"))?;
    }
    Ok(if flaws.is_empty() { Exit::Done } else { Exit::FoundProblems })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        assert!(amount("100").is_ok() && amount("0").is_err() && amount("1.00").is_err());
        assert!(currency("EUR").is_ok() && currency("eur").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
