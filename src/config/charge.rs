//! `[charge]`: what is asked before a transaction is charged.

use std::time::Duration;

use super::reader::Reader;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    pub ask_store: AskStore,
    pub order: Order,
    /// Older transactions that nobody can have asked for are rejected.
    pub max_age: Option<Duration>,
    /// The emergency stop: no request leaves.
    pub pause: bool,
}

/// In which order transactions are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    None,
    /// Those of one record key one after another.
    Key,
}

/// What happens to first attempts while the store can't answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskStore {
    /// None is made.
    Always,
    /// They go on. An id published again after the gateway forgot it may then be charged again.
    WhenAvailable,
}

impl Charge {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let ask_store = r.choice(
            "charge.ask_store",
            AskStore::Always,
            &[("always", AskStore::Always), ("when_available", AskStore::WhenAvailable)],
        );
        let words = [("none", Order::None), ("key", Order::Key)];
        let order = r.choice("charge.order", Order::None, &words);
        let max_age = r.maybe_period("charge.max_age", ["1s", "3650d"]);
        Self { ask_store, order, max_age, pause: r.or("charge.pause", false) }
    }
}
