//! The http_gateway room.
