//! What of Kafka's protocol is about consumer groups: who coordinates them, who their members are, and how far they
//! have come. As plain as the rest of it in [`super::wire`].

use super::Committed;
use super::ask::is_elsewhere_or_later;
use super::codec::{Decoder, Encoder};
use super::wire::{Told, by_partition, call};
use crate::error::{Error, Result};

const OFFSET_COMMIT: (i16, i16) = (8, 2);
const OFFSET_FETCH: (i16, i16) = (9, 2);
const FIND_COORDINATOR: (i16, i16) = (10, 1);
const DESCRIBE_GROUPS: (i16, i16) = (15, 4);
const DELETE_GROUPS: (i16, i16) = (42, 1);

/// What a coordinator coordinates: a group, or the transactions of one transactional id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coordinates {
    Group = 0,
    Transactions = 1,
}

/// The broker that coordinates a group, or the transactions under a transactional id.
pub(super) fn coordinator(port: u16, of: Coordinates, name: &str) -> Result<Told<i32>> {
    let mut body = Encoder::default();
    body.text(name);
    body.bytes.push(of as u8);
    let mut answer = call(port, FIND_COORDINATOR, &body)?;
    answer.int32()?; // throttle time
    let code = answer.int16()?;
    answer.text()?; // message
    let broker = answer.int32()?;
    Ok(if code == 0 { Ok(broker) } else { Err(code) })
}

pub(super) fn delete_group(port: u16, group: &str) -> Result<Told<()>> {
    let mut body = Encoder::default();
    body.count(1);
    body.text(group);
    let mut answer = call(port, DELETE_GROUPS, &body)?;
    answer.int32()?; // throttle time
    for _ in 0..answer.int32()? {
        let name = answer.text()?.unwrap_or_default();
        let code = answer.int16()?;
        if is_elsewhere_or_later(code) {
            return Ok(Err(code));
        }
        if code != 0 {
            return Err(Error::new(format!("cannot delete the group {name} (code {code})")));
        }
    }
    Ok(Ok(()))
}

/// What an administrator does to a group that has no member: the broker takes any offset and any text.
pub(super) fn commit_offsets(
    port: u16,
    group: &str,
    offsets: &[Committed],
) -> Result<Vec<Told<()>>> {
    let mut body = Encoder::default();
    body.text(group);
    body.int32(-1); // no generation
    body.text(""); // no member
    body.int64(-1); // kept as long as the broker keeps offsets
    body.count(offsets.len());
    for committed in offsets {
        body.text(&committed.topic);
        body.count(1);
        body.int32(committed.partition);
        body.int64(committed.offset);
        body.text(&committed.metadata);
    }
    let mut answer = call(port, OFFSET_COMMIT, &body)?;
    let mut told = Vec::with_capacity(offsets.len());
    for _ in 0..answer.int32()? {
        answer.text()?; // topic
        for _ in 0..answer.int32()? {
            answer.int32()?; // partition
            let code = answer.int16()?;
            told.push(if code == 0 { Ok(()) } else { Err(code) });
        }
    }
    Ok(told)
}

pub(super) fn group_offsets(
    port: u16,
    group: &str,
    topic: &str,
    partitions: u32,
) -> Result<Told<Vec<i64>>> {
    let mut body = Encoder::default();
    body.text(group);
    body.count(1);
    body.text(topic);
    body.int32(partitions.cast_signed());
    (0..partitions).for_each(|partition| body.int32(partition.cast_signed()));
    let mut answer = call(port, OFFSET_FETCH, &body)?;
    let offsets = by_partition(&mut answer, partitions, |answer| {
        let offset = answer.int64()?;
        answer.text()?; // metadata
        Ok((offset, answer.int16()?))
    })?;
    let code = answer.int16()?;
    Ok(if code == 0 { offsets.into_iter().collect() } else { Err(code) })
}

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the coordinator calls it: another for each life.
    pub member_id: String,
    /// `group.instance.id`, where it has one.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Topics and partitions it owns.
    pub owns: Vec<(String, i32)>,
}

pub(super) fn members(port: u16, group: &str) -> Result<Told<Vec<Member>>> {
    let mut body = Encoder::default();
    body.count(1);
    body.text(group);
    body.bytes.push(0); // without the operations we may do
    let mut answer = call(port, DESCRIBE_GROUPS, &body)?;
    answer.int32()?; // throttle time
    let mut members = Vec::new();
    for _ in 0..answer.int32()? {
        let code = answer.int16()?; // an unknown group has no members
        if is_elsewhere_or_later(code) {
            return Ok(Err(code));
        }
        for _ in ["id", "state", "protocol type", "protocol"] {
            answer.text()?;
        }
        for _ in 0..answer.int32()? {
            let member_id = answer.text()?.unwrap_or_default();
            let instance_id = answer.text()?;
            let client_id = answer.text()?.unwrap_or_default();
            answer.text()?; // host
            answer.nested()?; // subscription
            let owns = assignment(answer.nested()?)?;
            members.push(Member { member_id, instance_id, client_id, owns });
        }
        answer.int32()?; // operations
    }
    Ok(Ok(members))
}

fn assignment(mut bytes: Decoder) -> Result<Vec<(String, i32)>> {
    let mut owned = Vec::new();
    if bytes.is_at_end() {
        return Ok(owned);
    }
    bytes.int16()?; // version
    for _ in 0..bytes.int32()? {
        let topic = bytes.text()?.unwrap_or_default();
        for _ in 0..bytes.int32()? {
            owned.push((topic.clone(), bytes.int32()?));
        }
    }
    Ok(owned)
}
