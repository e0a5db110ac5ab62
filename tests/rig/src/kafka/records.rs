//! What Kafka's own client reads: records as `read_committed` consumers see them, and committed offsets.
//! The reading is done by the rig's `Reader.java`; here its lines are understood.

use super::Kafka;
use crate::error::{Doing, Error, Result};
use crate::process::Launch;
use crate::temp::TempDir;
use std::fs;
use std::time::Duration;

const READ_LIMIT: Duration = Duration::from_secs(60);

impl Kafka {
    /// The records of a topic, in order of partition and offset, as `read_committed` consumers see them
    /// (read by Kafka's own client, in about a second).
    ///
    /// # Errors
    /// When the reader fails.
    pub fn read_committed(&self, topic: &str) -> Result<Vec<Record>> {
        self.read_committed_all([topic]).map(|[records]| records)
    }

    /// The same of several topics, in the time of one.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn read_committed_all<const N: usize>(
        &self,
        topics: [&str; N],
    ) -> Result<[Vec<Record>; N]> {
        let mut all = [const { Vec::new() }; N];
        for line in self.reader("records", &topics)? {
            let of = topics.iter().position(|topic| line["topic"].as_str() == Some(topic));
            let of =
                of.ok_or_else(|| Error::new(format!("of no topic that was asked for: {line}")))?;
            all[of].push(Record::of(&line)?);
        }
        for records in &mut all {
            records.sort_by_key(|record: &Record| (record.partition, record.offset));
        }
        Ok(all)
    }

    /// What a group has committed, in order of topic and partition, once no transaction is open that may still change
    /// it.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn committed(&self, group: &str) -> Result<Vec<Committed>> {
        let mut all = Vec::new();
        for line in self.reader("offsets", &[group])? {
            all.push(Committed {
                topic: line["topic"].as_str().unwrap_or_default().to_owned(),
                partition: whole(&line, "partition")?,
                offset: whole(&line, "offset")?,
                metadata: line["metadata"].as_str().unwrap_or_default().to_owned(),
            });
        }
        all.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(all)
    }

    fn reader(&self, what: &str, of: &[&str]) -> Result<Vec<serde_json::Value>> {
        let output = TempDir::new("reader")?;
        let stdout = output.join("stdout");
        Launch::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"])
            .arg(format!("-XX:SharedArchiveFile={}", self.home.archive().display()))
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-cp")
            .arg(format!("{}:{}", self.home.classpath(), self.home.classes().display()))
            .args(["Reader", &self.bootstrap(), what])
            .args(of)
            .stdout(&stdout)
            .run(READ_LIMIT)?;
        let text = fs::read_to_string(&stdout).doing(|| "read the reader's output".into())?;
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<std::result::Result<_, _>>().doing(|| "understand the reader".into())
    }
}

/// A record as a `read_committed` consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, where it has one.
    pub key: Option<Vec<u8>>,
    /// The value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers in their order; a name may stand more than once.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn of(line: &serde_json::Value) -> Result<Self> {
        let headers = line["headers"].as_array().into_iter().flatten();
        let header = |pair: &serde_json::Value| {
            Ok((pair[0].as_str().unwrap_or_default().to_owned(), bytes(&pair[1])?))
        };
        Ok(Self {
            partition: whole(line, "partition")?,
            offset: whole(line, "offset")?,
            timestamp: whole(line, "timestamp")?,
            key: bytes(&line["key"])?,
            value: bytes(&line["value"])?,
            headers: headers.map(header).collect::<Result<_>>()?,
        })
    }

    /// The value of the last header of this name, as text: earlier ones came with the source record.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().rfind(|(header, _)| header == name)?;
        value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset at which the group goes on.
    pub offset: i64,
    /// The text beside it.
    pub metadata: String,
}

fn whole<T: TryFrom<i64>>(line: &serde_json::Value, field: &str) -> Result<T> {
    let number = line[field].as_i64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Error::new(format!("the reader's line has no {field}: {line}")))
}

fn bytes(value: &serde_json::Value) -> Result<Option<Vec<u8>>> {
    value.as_str().map(base64).transpose()
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for symbol in text.bytes().filter(|symbol| *symbol != b'=') {
        let six = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => return Err(Error::new(format!("{other} is no symbol of base64"))),
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap_or(0));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        assert_eq!(base64("").unwrap(), b"");
        assert_eq!(base64("/+8=").unwrap(), [0xff, 0xef]);
        assert_eq!(base64("dG9sbA==").unwrap(), b"toll");
        assert_eq!(base64("YnJpZGdl").unwrap(), b"bridge");
        assert!(base64("d*==").is_err());
    }
}
