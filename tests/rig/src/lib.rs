//! Starts real services.
