//! Reading what was published: which offset an event is about, and what it says became of it.

use tollbridge::domain::outcome::{EventId, Fate};
use tollbridge::ports::publisher::{Message, Topic};
use tollbridge::wire::outcome;

use crate::kafka::Effective;

/// One terminal event.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub event_id: EventId,
    pub fate: Fate,
    /// Of a letter: why it is one.
    pub code: Option<String>,
}

/// `None` for what is no terminal event.
pub fn read(message: &Message) -> Option<Result<Verdict, String>> {
    match message.topic {
        Topic::Alerts => None,
        Topic::Archived | Topic::Declined => Some(read_outcome(message)),
        Topic::DeadLetter => Some(read_letter(message)),
    }
}

fn read_outcome(message: &Message) -> Result<Verdict, String> {
    let value = message.value.as_deref().unwrap_or_default();
    let outcome = outcome::decode(value).map_err(|why| why.to_string())?;
    let expected = if message.topic == Topic::Archived { Fate::Archived } else { Fate::Declined };
    if outcome.fate != expected {
        return Err(format!("fate {} on {:?}", outcome.fate, message.topic));
    }
    Ok(Verdict { event_id: outcome.event_id, fate: outcome.fate, code: outcome.code })
}

fn read_letter(message: &Message) -> Result<Verdict, String> {
    let value = |name: &str| {
        let header = message.headers.iter().find(|header| header.name == name)?;
        std::str::from_utf8(header.value.as_ref()?).ok()
    };
    let event_id = value("tollbridge-event-id").and_then(EventId::from_hex);
    let fate = value("tollbridge-fate").and_then(Fate::parse);
    let code = value("tollbridge-code").map(str::to_owned);
    match (event_id, fate) {
        (Some(event_id), Some(fate)) => Ok(Verdict { event_id, fate, code }),
        _ => Err(format!("a letter without id or fate: {:?}", message.headers)),
    }
}

pub fn brief(effective: &Effective) -> String {
    let fates: Vec<String> = effective
        .messages
        .iter()
        .filter_map(read)
        .map(|verdict| match verdict {
            Ok(verdict) => format!("{} {:?}", verdict.fate, verdict.event_id),
            Err(why) => why,
        })
        .collect();
    let points: Vec<String> =
        effective.points.iter().map(|p| format!("{}@{}", p.partition, p.watermark)).collect();
    format!("{fates:?} {points:?}")
}
