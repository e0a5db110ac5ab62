//! The sqlite room.
