//! What measurements are made of:
//!
//! - [`input`]: transactions on the source topic, before anything is measured; their ids.
//! - [`stub`]: a gateway that costs next to nothing; [`server`], what it does; [`book`], what it remembers; [`delay`],
//!   how long it takes.
//! - [`bare`]: the product's HTTP client with nothing around it, and [`wrk`], a witness from outside.
//! - [`cost`]: CPU time and memory of processes; [`steady`]: rates and medians.
//! - [`check`]: every transaction charged, stored and reported exactly once; else there is no number.
//! - [`route`]: a run of the whole route, from its start to its figures.
//! - [`pairs`]: two sides in turn; [`findings`]: what came of it, as a table and a file.
//! - [`flame`]: where the processor spends its time, for a picture.
//! - [`items`]: all that is measured; [`long`]: outages of many minutes under load.
//! - [`model`]: what many machines would do, from what was measured on one.
//!
//! Services and the processor are real, started by the rig. Nothing but the HTTP client is shared with the product.
#![allow(dead_code, reason = "each bench uses some of the parts")]

pub mod bare;
pub mod book;
pub mod check;
pub mod cost;
pub mod delay;
pub mod findings;
pub mod flame;
pub mod input;
pub mod items;
pub mod long;
pub mod model;
pub mod pairs;
pub mod route;
pub mod server;
pub mod steady;
pub mod stub;
pub mod wrk;
