//! As much of Kafka's protocol as the rig needs to make topics and to see how far a broker is, in milliseconds and
//! without a JVM: requests to one broker, in versions of the plain encoding; those about groups are in
//! [`super::groups`]. It is deliberately not a client: tests and demo use real ones.

use super::codec::{Decoder, Encoder};
use crate::error::{Doing, Error, Result};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIST_OFFSETS: (i16, i16) = (2, 2);
const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 4);
const DELETE_TOPICS: (i16, i16) = (20, 3);
const DELETE_RECORDS: (i16, i16) = (21, 1);
const INIT_PRODUCER_ID: (i16, i16) = (22, 0);
const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUT_MS: i32 = 10_000;
/// No answer to our questions is near this.
const MAX_ANSWER_BYTES: usize = 16 << 20;
const LEADER_NOT_AVAILABLE: i16 = 5;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// What a broker answers: what was asked for, or its code for why not.
pub(super) type Told<T> = std::result::Result<T, i16>;

/// A topic to make: its name, its number of partitions, and settings such as `cleanup.policy`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewTopic<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

/// Whether the broker answers, is part of its cluster, and has ids for producers: without, the first ones that come are
/// told to come again, and say so.
pub(crate) fn is_ready(port: u16) -> bool {
    metadata(port, Some(&[])).is_ok_and(|metadata| metadata.brokers > 0)
        && gives_producer_ids(port).unwrap_or(false)
}

fn gives_producer_ids(port: u16) -> Result<bool> {
    let mut body = Encoder::default();
    body.int16(-1); // no transactional id
    body.int32(TIMEOUT_MS);
    let mut answer = call(port, INIT_PRODUCER_ID, &body)?;
    answer.int32()?; // throttle time
    Ok(answer.int16()? == 0)
}

/// Whether every partition of these topics has a leader.
pub(crate) fn topics_have_leaders(port: u16, names: &[&str]) -> bool {
    metadata(port, Some(names)).is_ok_and(|metadata| metadata.all_led)
}

/// Whether this broker knows of so many, and that each is in sync with the leader of every partition of all topics.
pub(super) fn all_in_sync(port: u16, brokers: usize) -> bool {
    metadata(port, None).is_ok_and(|metadata| {
        let in_sync = |leads: &Leads| leads.replicas == brokers && leads.in_sync == brokers;
        usize::try_from(metadata.brokers) == Ok(brokers)
            && metadata.all_led
            && metadata.partitions.values().all(in_sync)
    })
}

/// The brokers that lead a topic's partitions, from 0 on.
pub(super) fn leaders(port: u16, topic: &str) -> Result<Told<Vec<i32>>> {
    let metadata = metadata(port, Some(&[topic]))?;
    let leaders = metadata.partitions.values().map(|leads| leads.leader).collect();
    Ok(if metadata.all_led { Ok(leaders) } else { Err(LEADER_NOT_AVAILABLE) })
}

pub(crate) fn create_topics(port: u16, topics: &[NewTopic<'_>]) -> Result<()> {
    let mut body = Encoder::default();
    body.count(topics.len());
    for topic in topics {
        body.text(topic.name);
        body.int32(topic.partitions);
        body.int16(-1); // replicas: as many as the brokers make by default
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

/// Deletes what lies below these offsets, of partition 0 and on; gives where each begins then.
pub(super) fn delete_records(port: u16, topic: &str, below: &[i64]) -> Result<Vec<Told<i64>>> {
    let mut body = Encoder::default();
    body.count(1);
    body.text(topic);
    body.count(below.len());
    for (partition, offset) in below.iter().enumerate() {
        body.count(partition);
        body.int64(*offset);
    }
    body.int32(TIMEOUT_MS);
    let mut answer = call(port, DELETE_RECORDS, &body)?;
    answer.int32()?; // throttle time
    let partitions = u32::try_from(below.len()).doing(|| "count partitions".into())?;
    by_partition(&mut answer, partitions, |answer| Ok((answer.int64()?, answer.int16()?)))
}

/// Behind the last record, or (`stable`) behind the last that a `read_committed` consumer may see.
pub(super) fn end_offsets(
    port: u16,
    topic: &str,
    partitions: u32,
    stable: bool,
) -> Result<Vec<Told<i64>>> {
    let mut body = Encoder::default();
    body.int32(-1); // a client, not a replica
    body.bytes.push(u8::from(stable));
    body.count(1);
    body.text(topic);
    body.int32(partitions.cast_signed());
    for partition in 0..partitions {
        body.int32(partition.cast_signed());
        body.int64(-1); // the time that stands for the end
    }
    let mut answer = call(port, LIST_OFFSETS, &body)?;
    answer.int32()?; // throttle time
    by_partition(&mut answer, partitions, |answer| {
        let code = answer.int16()?;
        answer.int64()?; // time
        Ok((answer.int64()?, code))
    })
}

/// Reads `[topic [partition, …]]` for one topic; `rest` reads an offset and an error code.
pub(super) fn by_partition(
    answer: &mut Decoder,
    partitions: u32,
    mut rest: impl FnMut(&mut Decoder) -> Result<(i64, i16)>,
) -> Result<Vec<Told<i64>>> {
    let mut offsets = vec![Ok(-1); usize::try_from(partitions).unwrap_or(0)];
    for _ in 0..answer.int32()? {
        answer.text()?; // topic
        for _ in 0..answer.int32()? {
            let partition = answer.int32()?;
            let (offset, code) = rest(answer)?;
            let place = usize::try_from(partition).ok().and_then(|place| offsets.get_mut(place));
            *place.ok_or_else(|| Error::new("the broker answers for a foreign partition"))? =
                if code == 0 { Ok(offset) } else { Err(code) };
        }
    }
    Ok(offsets)
}

struct Metadata {
    brokers: i32,
    all_led: bool,
    partitions: BTreeMap<(String, i32), Leads>,
}

/// Who leads a partition, on how many brokers it is, and how many of those are in sync.
struct Leads {
    leader: i32,
    replicas: usize,
    in_sync: usize,
}

/// Of these topics, or of all.
fn metadata(port: u16, names: Option<&[&str]>) -> Result<Metadata> {
    let mut body = Encoder::default();
    match names {
        Some(names) => body.count(names.len()),
        None => body.int32(-1),
    }
    names.into_iter().flatten().for_each(|name| body.text(name));
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
    let mut partitions = BTreeMap::new();
    for _ in 0..answer.int32()? {
        all_led &= answer.int16()? == 0;
        let name = answer.text()?.unwrap_or_default();
        answer.take(1)?; // internal or not
        let count = answer.int32()?;
        all_led &= count > 0;
        for _ in 0..count {
            all_led &= answer.int16()? == 0;
            let index = answer.int32()?;
            let leader = answer.int32()?;
            all_led &= leader >= 0;
            let (replicas, in_sync) = (answer.skip_int32s()?, answer.skip_int32s()?);
            partitions.insert((name.clone(), index), Leads { leader, replicas, in_sync });
        }
    }
    Ok(Metadata { brokers, all_led, partitions })
}

pub(super) fn call(port: u16, (api, version): (i16, i16), body: &Encoder) -> Result<Decoder> {
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
    let mut answer = Decoder::new(bytes);
    answer.int32()?; // correlation id
    Ok(answer)
}
