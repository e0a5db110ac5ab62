//! The broker's own log of committed offsets, as it lies on its disk: who wrote each commit, and whether within a
//! transaction. No client tells that.

use std::path::Path;

use crate::world::World;

/// A commit of one partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub partition: i32,
    pub offset: i64,
    pub in_transaction: bool,
    pub producer: i64,
    /// When the broker wrote it; milliseconds since 1970.
    pub at_ms: i64,
}

const OF_A_TRANSACTION: i16 = 1 << 4;
const OF_CONTROL: i16 = 1 << 5;

/// Bytes of which the front is taken.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn varint(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.array::<1>()?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let half = i64::try_from(value >> 1).ok()?;
                return Some(if value & 1 == 0 { half } else { -half - 1 });
            }
        }
        None
    }

    /// With a length in front, as a variable-length number.
    fn field(&mut self) -> Option<&'a [u8]> {
        match self.varint()? {
            length if length < 0 => Some(&[]),
            length => self.bytes(usize::try_from(length).ok()?),
        }
    }

    /// With a length in front, in two bytes.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.i16()?).ok()?;
        self.bytes(length)
    }
}

/// Every commit of this world's group on its source topic, in the order of the log.
pub fn commits(world: &World) -> Vec<Commit> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(world.kafka().data_path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("__consumer_offsets-") {
            for file in std::fs::read_dir(entry.path()).unwrap().flatten() {
                if file.path().extension().is_some_and(|ext| ext == "log") {
                    read(&file.path(), world, &mut found);
                }
            }
        }
    }
    found
}

fn read(file: &Path, world: &World, found: &mut Vec<Commit>) {
    let bytes = std::fs::read(file).unwrap();
    let mut log = Cursor(&bytes);
    // What is being written now has no end yet.
    while let Some(batch) = log.i64().and_then(|_| log.i32()).and_then(|length| {
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        log.bytes(length)
    }) {
        of_batch(batch, world, found).expect("a record batch of version 2");
    }
}

fn of_batch(batch: &[u8], world: &World, found: &mut Vec<Commit>) -> Option<()> {
    let mut cursor = Cursor(batch);
    cursor.bytes(4 + 1 + 4)?;
    let attributes = cursor.i16()?;
    cursor.bytes(4 + 8)?;
    let at_ms = cursor.i64()?;
    let producer = cursor.i64()?;
    cursor.bytes(2 + 4)?;
    let records = cursor.i32()?;
    if attributes & OF_CONTROL != 0 {
        return Some(());
    }
    assert_eq!(attributes & 7, 0, "compressed");
    for _ in 0..records {
        let mut record = Cursor(cursor.field()?);
        record.bytes(1)?;
        record.varint()?;
        record.varint()?;
        let (key, value) = (record.field()?, record.field()?);
        if let Some((partition, offset)) = of_record(key, value, world) {
            let in_transaction = attributes & OF_A_TRANSACTION != 0;
            found.push(Commit { partition, offset, in_transaction, producer, at_ms });
        }
    }
    Some(())
}

/// Partition and offset, where the record is a commit of ours.
fn of_record(key: &[u8], value: &[u8], world: &World) -> Option<(i32, i64)> {
    let (mut key, mut value) = (Cursor(key), Cursor(value));
    // Higher versions of the key are about the group's members.
    if key.i16()? > 1 || key.text()? != world.group().as_bytes() {
        return None;
    }
    assert_eq!(key.text()?, world.topic("transactions").as_bytes());
    let partition = key.i32()?;
    value.i16()?;
    Some((partition, value.i64()?))
}
