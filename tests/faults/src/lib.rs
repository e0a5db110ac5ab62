//! The kill suite: the product as real processes on real services under load, struck by real faults, and an oracle that
//! believes nobody. It imports nothing of the product and drives it by its command line alone. It is deliberately
//! not the simulation, which tries millions of orders of events under the same pipeline: here the adapters, the
//! clients and the services are the real ones, and a run takes a minute.
//!
//! In reading order:
//! - [`scenario`]: the table of scenarios.
//! - [`strike`]: the faults; each tells whether its effect was seen.
//! - [`run`]: one run, from the services' start to the verdict; what is kept of it is in `keep`.
//! - [`plants`]: whether it would find bugs.
//! - [`recover`]: how long it takes until work goes on.
//! - [`world`]: what a run stands on, and the eyes for effects.
//! - [`readers`], [`offsets`], [`fates`], [`gone`], [`audit`]: the oracle.
//! - [`clock`]: a wall clock that can be moved.
//! - [`campaign`]: many runs; [`lack`]: which; [`history`]: of what; [`spent`]: how much they take.
//! - [`book`]: the ledger of runs. [`dice`]: what a seed moves.

mod attempts;
pub mod audit;
pub mod book;
pub mod campaign;
pub mod clock;
pub mod dice;
pub mod fates;
mod faucet;
pub mod gone;
pub mod history;
mod keep;
pub mod lack;
pub mod offsets;
pub mod plants;
pub mod readers;
pub mod recover;
pub mod run;
pub mod scenario;
pub mod spent;
pub mod strike;
pub mod world;
