//! The reader that runs along: what a `read_committed` consumer of each outcome topic is given while faults happen,
//! by kcat. It is held against what another client reads when all is over: nothing that was once seen may vanish,
//! nothing may appear behind what was seen. Deliberately it understands no event.

use crate::world::{failed, holds_within};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::stack::OUTCOMES;
use tollbridge_rig::{Launch, Process, Result, Stack};

const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);

/// One record, as it was seen: timestamp, and length of the value (-1 for none).
type Glance = (i64, i64);

/// A kcat for each outcome topic but the alerts.
#[derive(Debug)]
pub struct Readers(Vec<Reader>);

#[derive(Debug)]
struct Reader {
    topic: &'static str,
    output: PathBuf,
    _process: Process,
}

impl Readers {
    /// Starts them at the topics' beginning.
    ///
    /// # Errors
    /// When kcat is missing.
    pub fn start(stack: &Stack) -> Result<Self> {
        let start = |topic: &'static str| {
            let output = stack.file(&format!("{topic}.seen"));
            let process = Launch::new("kcat")
                .args(["-C", "-b", &stack.kafka.bootstrap(), "-t", topic, "-o", "beginning"])
                // A broker that is killed is no reason to end.
                .args(["-E", "-q", "-u", "-X", "isolation.level=read_committed"])
                .args(["-X", "reconnect.backoff.max.ms=500", "-f", "%p %o %T %S\\n"])
                // Not after each transaction: the broker has enough to do.
                .args(["-X", "fetch.min.bytes=1000000", "-X", "fetch.wait.max.ms=1000"])
                .stdout(&output)
                .log(stack.file(&format!("{topic}.kcat.log")))
                .start()?;
            Ok(Reader { topic, output, _process: process })
        };
        OUTCOMES[..3].iter().map(|topic| start(topic)).collect::<Result<_>>().map(Self)
    }

    /// What they saw otherwise than it stands there now, a sentence each.
    ///
    /// # Errors
    /// When what they wrote cannot be read.
    pub fn findings(&self, now: &[Vec<Record>; 3]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (reader, records) in self.0.iter().zip(now) {
            holds_within(CATCH_UP_LIMIT, || {
                reader.text().is_ok_and(|text| text.lines().count() >= records.len())
            });
            reader.compare(&reader.text()?, records, &mut found);
        }
        Ok(found)
    }
}

impl Reader {
    fn text(&self) -> Result<String> {
        let text = fs::read_to_string(&self.output);
        let text = text.map_err(|e| failed("read what kcat saw", e))?;
        // A line that is being written has no end yet.
        Ok(text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned())
    }

    fn compare(&self, text: &str, records: &[Record], found: &mut Vec<String>) {
        let topic = self.topic;
        let mut seen: BTreeMap<(i32, i64), Glance> = BTreeMap::new();
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        for line in text.lines() {
            let Some((place, glance)) = glance(line) else {
                found.push(format!("I3: kcat on {topic} said {line:?}"));
                continue;
            };
            if last.insert(place.0, place.1).is_some_and(|before| before >= place.1) {
                found.push(format!("I3: {topic} {place:?} was read out of order"));
            }
            seen.insert(place, glance);
        }
        for record in records {
            let place = (record.partition, record.offset);
            let length = record.value.as_ref().map_or(Ok(-1), |value| i64::try_from(value.len()));
            let now = (record.timestamp, length.unwrap_or(i64::MAX));
            match seen.remove(&place) {
                None => {
                    found.push(format!("I3: {topic} {place:?} was never seen by who read along"))
                }
                Some(then) if then != now => {
                    found.push(format!("I3: {topic} {place:?} was {then:?} and is {now:?}"));
                }
                Some(_) => {}
            }
        }
        for place in seen.keys() {
            found.push(format!("I3: {topic} {place:?} was seen once and is gone"));
        }
    }
}

fn glance(line: &str) -> Option<((i32, i64), Glance)> {
    let mut words = line.split(' ');
    let place = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let glance = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some((place, glance))
}

#[cfg(test)]
mod tests {
    use super::glance;

    #[test]
    fn a_line_is_a_place_a_time_and_a_length() {
        assert_eq!(glance("3 77 1700 -1"), Some(((3, 77), (1700, -1))));
        for line in ["", "3 77 1700", "3 77 1700 x", "3 77 1700 5 6"] {
            assert_eq!(glance(line), None, "{line}");
        }
    }
}
