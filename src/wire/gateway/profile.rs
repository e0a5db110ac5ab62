//! The description of a gateway, as plain data, and the built-in generic one. Not the place where a description is
//! read from a file.

use super::body::RECIPE;
use crate::domain::classify::{ErrorRule, Means, RequestKind, Rules};
use crate::domain::id::RecipeHash;

/// Everything that differs between gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    pub endpoints: Endpoints,
    pub body: BodyKind,
    /// Identifies what `body` makes of a transaction.
    pub recipe: RecipeHash,
    pub fields: Fields,
    pub rules: Rules,
}

/// Where requests go and which headers they carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Behind the base URL, with a leading slash.
    pub charge_path: String,
    /// Likewise, with `{id}` where the transaction's id belongs. `None`: the gateway can't be asked.
    pub lookup_path: Option<String>,
    pub content_type: String,
    /// The request header that carries the idempotency key.
    pub key_header: String,
    /// The response header whose value `true` marks a replay.
    pub replay_header: Option<String>,
}

/// How a transaction becomes a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    GenericJson,
}

/// Where things stand in an answer's JSON. A pointer of `None`: the gateway does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    pub gateway_id: Pointer,
    /// Whether a decline has to carry the gateway's id; an approval always has to.
    pub declined_with_id: bool,
    pub status: Pointer,
    /// Values of `status`; any other makes the answer unreadable.
    pub approved: Vec<String>,
    pub declined: Vec<String>,
    pub running: Vec<String>,
    pub transaction_id: Option<Pointer>,
    pub amount: Option<Pointer>,
    pub currency: Option<Pointer>,
    /// The reason of a decline.
    pub code: Option<Pointer>,
    pub error_code: Pointer,
}

/// The names on the way from the top of a JSON document to a value, as in a JSON Pointer; objects only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(pub Vec<String>);

impl Pointer {
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|&name| name.to_owned()).collect())
    }
}

impl Profile {
    /// The built-in profile `generic`.
    ///
    /// `POST /charges` with an `Idempotency-Key`; 200 with `id, transaction_id, status, amount, currency, code?`;
    /// errors as `{"error":{"code"}}`; `GET /charges/{id}` tells what became of an id. The gateway has surely not
    /// taken what it answers with 400 `invalid_request` or 429 `rate_limited`.
    #[must_use]
    pub fn generic() -> Self {
        Self {
            name: "generic".to_owned(),
            endpoints: Endpoints {
                charge_path: "/charges".to_owned(),
                lookup_path: Some("/charges/{id}".to_owned()),
                content_type: "application/json".to_owned(),
                key_header: "idempotency-key".to_owned(),
                replay_header: Some("idempotent-replayed".to_owned()),
            },
            body: BodyKind::GenericJson,
            recipe: RECIPE,
            fields: Fields {
                gateway_id: Pointer::of(&["id"]),
                declined_with_id: true,
                status: Pointer::of(&["status"]),
                approved: vec!["approved".to_owned()],
                declined: vec!["declined".to_owned()],
                running: Vec::new(),
                transaction_id: Some(Pointer::of(&["transaction_id"])),
                amount: Some(Pointer::of(&["amount"])),
                currency: Some(Pointer::of(&["currency"])),
                code: Some(Pointer::of(&["code"])),
                error_code: Pointer::of(&["error", "code"]),
            },
            rules: generic_rules(),
        }
    }
}

fn generic_rules() -> Rules {
    use Means::{KeyReused, NeverSeen, NotTaken, StillRunning};
    use RequestKind::{Charge, Lookup};
    let rule = |to, status, code: &str, means| ErrorRule { to, status, code: code.into(), means };
    Rules {
        record_statuses: vec![200],
        errors: vec![
            rule(Charge, 400, "invalid_request", NotTaken),
            rule(Charge, 429, "rate_limited", NotTaken),
            rule(Charge, 409, "in_progress", StillRunning),
            rule(Charge, 422, "key_reused", KeyReused),
            rule(Lookup, 409, "in_progress", StillRunning),
            rule(Lookup, 404, "not_found", NeverSeen),
        ],
        duplicate_codes: ["duplicate_transaction", "duplicate", "already_charged"]
            .map(str::to_owned)
            .to_vec(),
    }
}
