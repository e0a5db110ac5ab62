//! One room for each outside thing. Rooms never import each other and decide nothing: they carry out what a port
//! asks and say what came of it.

pub mod clickhouse;
pub mod http_gateway;
pub mod kafka;
pub mod memory;
pub mod postgres;
pub mod redis;
pub mod registry;
pub mod sqlite;
pub mod system;
