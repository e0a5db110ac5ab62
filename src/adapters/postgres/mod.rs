//! The postgres room.
