//! The profiles that come with the program, in the language in which users write their own.

use std::time::Duration;

use figment::providers::{Format, Toml};
use serde_json::Value as Tree;

use super::profile::Profile;
use crate::domain::id::RecipeHash;

/// Their names and descriptions.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("generic", include_str!("profiles/generic.toml")),
    ("stripe", include_str!("profiles/stripe.toml")),
    ("stripe-charges", include_str!("profiles/stripe-charges.toml")),
];

/// What `generic` makes of a transaction was known by this number before it was described in words. The bytes are the
/// same, and a test pins them.
pub const RECIPE: RecipeHash = RecipeHash(0x25bd_867b);

/// In which their durations are.
pub(super) fn hours(text: &str) -> Option<Duration> {
    text.strip_suffix('h')?.parse().ok().map(Duration::from_hours)
}

impl Profile {
    /// One of the built-in profiles; `None` where there is none of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        let tree: Tree = Toml::from_str(text).ok()?;
        let mut profile = Self::describe(&tree, hours).ok()?;
        if name == "generic" {
            profile.recipe = RECIPE;
        }
        Some(profile)
    }

    /// The built-in profile `generic`.
    ///
    /// `POST /charges` with an `Idempotency-Key`; 200 with `id, transaction_id, status, amount, currency, code?`;
    /// errors as `{"error":{"code"}}`; `GET /charges/{id}` tells what became of an id. The gateway has surely not
    /// taken what it answers with 400 `invalid_request` or 429 `rate_limited`.
    ///
    /// # Panics
    /// Never: a test reads every built-in description.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the text is part of the program")]
    pub fn generic() -> Self {
        Self::built_in("generic").expect("the built-in description is sound")
    }
}
