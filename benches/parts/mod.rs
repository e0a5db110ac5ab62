//! What the measurements of the route are made of. Each bench takes what it needs:
//!
//! - [`input`]: transactions on the source topic, before anything is measured; their ids.
//! - [`stub`]: a gateway that costs next to nothing, and [`book`], what it remembers.
//! - [`cost`]: CPU time and memory of processes.
//! - [`check`]: every transaction charged, stored and reported exactly once; else there is no number.
//! - [`route`]: a run of the whole route, from its start to its figures.
//! - [`long`]: outages of many minutes under load.
//!
//! Services and the processor are real, started by the rig. Nothing here is shared with the product.
#![allow(dead_code, reason = "each bench uses some of the parts")]

pub mod book;
pub mod check;
pub mod cost;
pub mod input;
pub mod long;
pub mod route;
pub mod stub;
