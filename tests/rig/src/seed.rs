//! Where random tests begin: another seed each run, and the same one again for whoever names it.

use std::hash::{BuildHasher, RandomState};

/// `SEED` of the environment, else any. A test prints it where it fails.
///
/// # Panics
/// Where `SEED` is no number.
#[must_use]
pub fn seed() -> u64 {
    match std::env::var("SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("SEED={text} is no number")),
        Err(_) => RandomState::new().hash_one(()),
    }
}

/// The seed as generators with a longer one take it.
#[must_use]
pub fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
