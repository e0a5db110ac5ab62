//! The redis room.
