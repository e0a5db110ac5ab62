//! `[charge]`: what is asked before a transaction is charged.

use super::reader::Reader;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    pub ask_store: AskStore,
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
        r.later("charge.order", &["key"], "Choose \"none\".");
        r.choice("charge.order", (), &[("none", ())]);
        r.unsupported("charge.max_age", "Remove it.");
        Self { ask_store }
    }
}
