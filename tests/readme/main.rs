//! What the documentation shows is run: every command block of the README against real services, every page's links,
//! the examples of the formats, the tests that features name, the rules for Prometheus, and the files for containers as
//! far as that goes without an engine.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod blocks;
mod docker;
mod features;
mod formats;
mod links;
mod map;
mod prometheus;
mod walk;

/// The repository's root.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page by its path from the root.
fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
