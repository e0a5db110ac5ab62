//! What the business is about, as plain values, and the decisions over them. Nothing here does I/O, reads a
//! clock, rolls dice or logs: `now` is passed in and a value comes out.

pub mod alert;
pub mod alerts;
pub mod answer;
pub mod balance;
pub mod batch;
pub mod classify;
pub mod doubts;
pub mod gate;
pub mod hex;
pub mod id;
pub mod labels;
pub mod lead;
pub mod money;
pub mod offsets;
pub mod outcome;
pub mod record;
pub mod resolution;
pub mod retry;
pub mod schema;
pub mod time;
pub mod transaction;
pub mod window;
