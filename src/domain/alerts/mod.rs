//! Which rules there are, when a watched number becomes an alert and when it stops being one, and what people are told.
//!
//! One process speaks for the whole group: the owner of partition 0. What it told is read back from `tx-alerts` by the
//! next one ([`Board::restored`]), so that a restart or a rebalance raises nothing twice.

mod board;
mod rule;
mod share;
mod watch;

pub use board::{Board, Speaker};
pub use rule::{Rule, Side};
pub use share::Share;
pub use watch::{Change, Levels, Watch};
