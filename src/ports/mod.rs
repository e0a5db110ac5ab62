//! What the pipeline asks of the outside world: plain messages, small traits, and one error enum a port. Nothing
//! here knows a client library.
//!
//! The pipeline itself never calls these traits: it hands out effects (`pipeline::Effect`) that `app` carries out
//! through them, one call an effect, and it is told the answer as an event. Adapters decide nothing.

pub mod gateway;
pub mod publisher;
pub mod queue;
pub mod source;
pub mod store;
pub mod time;
