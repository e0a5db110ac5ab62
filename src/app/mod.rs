//! Builds the parts, runs the route over them, and tells operators how it is.

mod alerting;
pub mod check;
pub mod dlq;
mod doubts;
pub mod drive;
pub mod exit;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod gateway_check;
pub mod http;
pub mod idle;
pub mod limits;
pub mod observe;
pub mod pace;
mod pipeline_settings;
pub mod rebuild;
pub mod reconcile;
mod reload;
pub mod resolve;
pub mod run;
pub mod schemas;
pub mod settings;
pub mod status;
mod stop;
pub mod store;
pub mod trace;
