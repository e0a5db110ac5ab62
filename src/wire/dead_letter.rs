//! dead_letter.
