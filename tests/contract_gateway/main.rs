//! The contract of the gateway port: the HTTP room against the real `tollbridge gateway-sim` process, against sockets
//! that break the protocol on purpose, and over TLS. Deliberately no stand-in for HTTP itself: bytes go over loopback.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends here")]

mod crash;
mod described;
mod faults;
mod ledger;
mod sockets;
mod tls;
mod world;
