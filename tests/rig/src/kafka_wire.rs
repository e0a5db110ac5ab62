//! As much of Kafka's protocol as the rig needs to make topics and to see that a broker is ready: four
//! requests in versions of the plain encoding. It is deliberately not a client: tests and demo use real ones.

use crate::error::{Doing, Error, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 4);
const DELETE_TOPICS: (i16, i16) = (20, 3);
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MS: i32 = 10_000;
/// No answer to our questions is near this.
const MAX_ANSWER_BYTES: usize = 16 << 20;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// A topic to make: its name, its number of partitions, and settings such as `cleanup.policy`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewTopic<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

/// Whether the broker answers and is part of its cluster.
pub(crate) fn is_ready(port: u16) -> bool {
    metadata(port, &[]).is_ok_and(|metadata| metadata.brokers > 0)
}

/// Whether every partition of these topics has a leader.
pub(crate) fn topics_have_leaders(port: u16, names: &[&str]) -> bool {
    metadata(port, names).is_ok_and(|metadata| metadata.all_led)
}

pub(crate) fn create_topics(port: u16, topics: &[NewTopic<'_>]) -> Result<()> {
    let mut body = Encoder::default();
    body.count(topics.len());
    for topic in topics {
        body.text(topic.name);
        body.int32(topic.partitions);
        body.int16(1); // replicas
        body.count(0); // assignments: the broker's choice
        body.count(topic.settings.len());
        for (name, value) in topic.settings {
            body.text(name);
            body.text(value);
        }
    }
    body.int32(TIMEOUT_MS);
    body.bytes.push(0); // do it, not only validate
    let mut answer = call(port, CREATE_TOPICS, &body)?;
    answer.int32()?; // throttle time
    for _ in 0..answer.int32()? {
        let name = answer.text()?.unwrap_or_default();
        let code = answer.int16()?;
        let message = answer.text()?.unwrap_or_default();
        if code != 0 && code != TOPIC_ALREADY_EXISTS {
            return Err(Error::new(format!("cannot make topic {name}: {message} (code {code})")));
        }
    }
    Ok(())
}

pub(crate) fn delete_topic(port: u16, name: &str) -> Result<()> {
    let mut body = Encoder::default();
    body.count(1);
    body.text(name);
    body.int32(TIMEOUT_MS);
    let mut answer = call(port, DELETE_TOPICS, &body)?;
    answer.int32()?; // throttle time
    for _ in 0..answer.int32()? {
        let name = answer.text()?.unwrap_or_default();
        let code = answer.int16()?;
        if code != 0 {
            return Err(Error::new(format!("cannot delete topic {name} (code {code})")));
        }
    }
    Ok(())
}

struct Metadata {
    brokers: i32,
    all_led: bool,
}

fn metadata(port: u16, names: &[&str]) -> Result<Metadata> {
    let mut body = Encoder::default();
    body.count(names.len());
    names.iter().for_each(|name| body.text(name));
    body.bytes.push(0); // do not make missing topics
    let mut answer = call(port, METADATA, &body)?;
    answer.int32()?; // throttle time
    let brokers = answer.int32()?;
    for _ in 0..brokers {
        answer.int32()?; // id
        answer.text()?; // host
        answer.int32()?; // port
        answer.text()?; // rack
    }
    answer.text()?; // cluster id
    answer.int32()?; // controller
    let mut all_led = true;
    for _ in 0..answer.int32()? {
        all_led &= answer.int16()? == 0;
        answer.text()?; // name
        answer.take(1)?; // internal or not
        let partitions = answer.int32()?;
        all_led &= partitions > 0;
        for _ in 0..partitions {
            all_led &= answer.int16()? == 0;
            answer.int32()?; // index
            all_led &= answer.int32()? >= 0; // leader
            answer.skip_int32s()?; // replicas
            answer.skip_int32s()?; // in-sync replicas
        }
    }
    Ok(Metadata { brokers, all_led })
}

fn call(port: u16, (api, version): (i16, i16), body: &Encoder) -> Result<Decoder> {
    let talk = || -> std::io::Result<Vec<u8>> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut request = Encoder::default();
        request.int16(api);
        request.int16(version);
        request.int32(1); // correlation id
        request.text("rig");
        request.bytes.extend_from_slice(&body.bytes);
        let length = u32::try_from(request.bytes.len()).map_err(std::io::Error::other)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&request.bytes)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_ANSWER_BYTES {
            return Err(std::io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    let bytes = talk().doing(|| format!("ask the broker on port {port}"))?;
    let mut answer = Decoder { bytes, read: 0 };
    answer.int32()?; // correlation id
    Ok(answer)
}

#[derive(Default)]
struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    fn int16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn int32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn count(&mut self, count: usize) {
        self.int32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    fn text(&mut self, text: &str) {
        self.int16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

struct Decoder {
    bytes: Vec<u8>,
    read: usize,
}

impl Decoder {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let from = self.read;
        self.read = from + count;
        self.bytes
            .get(from..self.read)
            .ok_or_else(|| Error::new(format!("the broker's answer ends before byte {count}")))
    }

    fn int16(&mut self) -> Result<i16> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int32(&mut self) -> Result<i32> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<Option<String>> {
        let Ok(length) = usize::try_from(self.int16()?) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }

    fn skip_int32s(&mut self) -> Result<()> {
        for _ in 0..self.int32()? {
            self.int32()?;
        }
        Ok(())
    }
}
