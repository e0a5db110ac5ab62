//! offsets.
