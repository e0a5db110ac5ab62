//! Bytes to domain and back, for every format that others read or write, and for what we write for ourselves.
//! Pure: no I/O, no clock.

pub mod alert;
mod base32768;
mod datum;
pub mod dead_letter;
pub mod events;
pub mod gateway;
pub mod metadata;
pub mod outcome;
pub mod percent;
mod plain;
pub mod queue_entry;
pub mod row;
#[cfg(test)]
mod testing;
pub mod transaction;
mod varint;
