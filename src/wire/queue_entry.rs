//! queue_entry.
