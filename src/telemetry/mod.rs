//! What operators see: the names of metrics, the handles that count, and the log. Decides nothing; serving them over
//! HTTP is `app::http`.

pub mod label;
pub mod log;
pub mod meters;
pub mod metric;
pub mod text;
