//! `tollbridge dlq show`: everything about one dead letter. Of its payload only length and hash, unless it is asked
//! for.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::super::progress::Steps;
use super::super::{ConfigArgs, print};
use super::list::as_json;
use super::{shown, spots};
use crate::app::dlq::letter::split;
use crate::app::dlq::{self, Named, Standing};
use crate::app::exit::Exit;
use crate::config::Config;
use crate::domain::hex::hex;
use crate::domain::id::Place;
use crate::domain::record::{Header, Record};
use crate::domain::transaction::PayloadHash;

/// Show one dead letter: what became of its record, and every header
///
/// Headers are shown in their order, first those that the record came with, then those that the dead letter added:
/// ours, Kafka Connect's, Spring's, CloudEvents'. Of the value only length and SHA-256 are shown. It may hold a
/// payment method and other personal data: --value writes it to stdout as it is, and nothing else.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge dlq show --config tollbridge.toml tx-dead-letter/0/12
  tollbridge dlq show --config tollbridge.toml 0/12 --value | jq .")]
pub struct ShowArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// TOPIC/PARTITION/OFFSET or PARTITION/OFFSET on the topic of dead letters, as `dlq list` shows it
    #[arg(value_name = "PLACE")]
    place: Named,
    /// Write the value's bytes, which may hold payment data, and nothing else
    #[arg(long, conflicts_with = "json")]
    value: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(config: &Config, args: &ShowArgs) -> anyhow::Result<Exit> {
    spots(config, std::slice::from_ref(&args.place));
    let mut steps = Steps::default();
    let found = dlq::show(config, &args.place);
    steps.finish();
    let (place, standing, record) = found?;
    if args.value {
        write_value(&standing, &record)?;
    } else if args.json {
        print(&whole(&place, &standing, &record).to_string())?;
    } else {
        for line in lines(&place, &standing, &record) {
            print(&line)?;
        }
    }
    Ok(Exit::Done)
}

fn write_value(standing: &Standing, record: &Record) -> anyhow::Result<()> {
    match &record.value {
        None => eprintln!("it has no value: a tombstone"),
        Some(_) if standing.cut.iter().any(|part| part == "value") => {
            eprintln!("the value was cut")
        }
        Some(_) => {}
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(record.value.as_deref().unwrap_or_default());
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn lines(place: &Place, standing: &Standing, record: &Record) -> Vec<String> {
    let mut lines = vec![format!("place    {place}, written {}", shown(standing.at_ms))];
    match &standing.told {
        Err(why) => lines.push(format!("unknown  no dead letter of ours: {why}")),
        Ok(letter) => {
            let of = letter.duplicate_of.as_ref().map(|of| format!(" of {of}"));
            lines.push(format!(
                "fate     {}{} ({})",
                letter.fate,
                of.unwrap_or_default(),
                letter.code
            ));
            lines.push(format!("source   {}", letter.place));
            lines.extend(letter.transaction_id.iter().map(|id| format!("id       {id}")));
            let replays = standing.replays.map_or("?".to_owned(), |replays| replays.to_string());
            lines.push(format!("replays  {replays}"));
        }
    }
    if !standing.cut.is_empty() {
        lines.push(format!("cut      {}", standing.cut.join(" and ")));
    }
    let part = |part: Option<&[u8]>| match part {
        None => "none".to_owned(),
        Some(bytes) => {
            format!("{} bytes, sha256 {}", bytes.len(), PayloadHash::of_bytes(Some(bytes)).to_hex())
        }
    };
    lines.push(format!("key      {}", part(record.key.as_deref())));
    lines.push(format!("value    {}", part(record.value.as_deref())));
    let (source, own) = split(&record.headers);
    let header = |of: &'static str| {
        move |header: &Header| format!("{of:<8} {}: {}", header.name, text(header))
    };
    lines.extend(source.iter().map(header("theirs")));
    lines.extend(own.iter().map(header("ours")));
    lines
}

/// Text as it is, numbers that are written as such, digits of anything else.
fn text(header: &Header) -> String {
    let Some(value) = header.value.as_deref() else { return "null".to_owned() };
    if let Some(number) = number(header) {
        return number.to_string();
    }
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(value)),
    }
}

/// Spring's numbers are big-endian.
fn number(header: &Header) -> Option<i64> {
    let value = header.value.as_deref()?;
    match &*header.name {
        "kafka_dlt-original-partition" => Some(i32::from_be_bytes(value.try_into().ok()?).into()),
        "kafka_dlt-original-offset" | "kafka_dlt-original-timestamp" => {
            Some(i64::from_be_bytes(value.try_into().ok()?))
        }
        _ => None,
    }
}

fn whole(place: &Place, standing: &Standing, record: &Record) -> Value {
    let part = |part: Option<&[u8]>| {
        part.map(|bytes| {
            json!({ "bytes": bytes.len(), "sha256": &*PayloadHash::of_bytes(Some(bytes)).to_hex() })
        })
    };
    let header = |header: &Header| {
        let value = header.value.as_ref().map(|_| text(header));
        json!({ "name": &*header.name, "value": value })
    };
    let (source, own) = split(&record.headers);
    let mut all = as_json(&place.topic, standing);
    all["key"] = part(record.key.as_deref()).into();
    all["value"] = part(record.value.as_deref()).into();
    all["source_headers"] = source.iter().map(header).collect();
    all["own_headers"] = own.iter().map(header).collect();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &'static str, value: Option<&'static [u8]>) -> String {
        text(&Header { name: name.into(), value: value.map(bytes::Bytes::from_static) })
    }

    #[test]
    fn headers_are_shown_as_what_they_are() {
        assert_eq!(shown("a", Some("é, really".as_bytes())), "é, really");
        assert_eq!(shown("a", Some(b"\x1b[2J")), "0x1b5b324a");
        assert_eq!(shown("a", Some(b"\xFF\x00")), "0xff00");
        assert_eq!(shown("a", Some(b"")), "");
        assert_eq!(shown("a", None), "null");
        assert_eq!(shown("kafka_dlt-original-partition", Some(&[0, 0, 1, 0])), "256");
        assert_eq!(shown("kafka_dlt-original-offset", Some(&[0, 0, 0, 0, 0, 0, 0, 9])), "9");
        // Someone else's idea of it.
        assert_eq!(shown("kafka_dlt-original-offset", Some(b"9")), "9");
        assert_eq!(shown("kafka_dlt-original-partition", Some(b"")), "");
    }
}
