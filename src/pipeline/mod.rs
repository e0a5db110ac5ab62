//! The route, as a state machine that is told what happened and says what to do:
//!
//! ```text
//! transactions ─► admit ─► temp queue ─► charge ─► archive queue ─► flush ─► store ─► publish ─► events + offsets
//!                            ▲   sweep: what timed out and aged is asked for again
//! ```
//!
//! [`Engine::handle`] takes one event and the time, and appends effects. It never waits, reads no clock, does no
//! I/O. Everything that keeps the promise is decided here: who owns what (`own`), what may leave and when
//! (`charge`), what its answer leads to (`decide`), what is told to Kafka and when (`publish`). `app` carries the
//! effects out; the simulation does so too, and can lose, delay or reorder any of them.

pub mod admit;
pub mod alone;
mod ask;
pub mod charge;
pub mod claim;
mod decide;
pub mod demand;
pub mod engine;
pub mod entry;
pub mod events;
pub mod flush;
pub mod gauges;
mod held;
mod learn;
pub mod line;
pub mod message;
pub mod own;
pub mod owned;
pub mod publish;
pub mod queues;
pub mod settings;
pub mod stop;
pub mod sweep;
pub mod take_over;
pub mod watch;

pub use engine::{Engine, Formats};
pub use message::{Call, CallId, Effect, Event, Level, Note, Reply, Slot, Survey};
pub use settings::{AskStore, Begin, Order, Settings, Tuned};
