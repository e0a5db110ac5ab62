//! Other descriptions of the gateway.

/// What the simulator speaks, as of a gateway that can't be asked what became of a transaction.
pub const WITHOUT_LOOKUP: &[(&str, &str, &str)] = &[
    ("gateway.profile", "name", "\"without-lookup\""),
    ("gateway.profile", "replays", "\"all\""),
    ("gateway.profile.charge", "path", "\"/charges\""),
    ("gateway.profile.charge", "key_header", "\"Idempotency-Key\""),
    ("gateway.profile.charge.body", "transaction_id", "\"{transaction_id}\""),
    ("gateway.profile.charge.body", "account_id", "\"{account_id}\""),
    ("gateway.profile.charge.body", "amount", "\"{amount}\""),
    ("gateway.profile.charge.body", "currency", "\"{currency}\""),
    ("gateway.profile.charge.body", "payment_method", "\"{payment_method}\""),
    ("gateway.profile.charge.body", "description", "\"{description}\""),
    ("gateway.profile.replay", "header", "\"Idempotent-Replayed\""),
    ("gateway.profile.answer", "id", "\"/id\""),
    ("gateway.profile.answer", "status", "\"/status\""),
    ("gateway.profile.answer", "error", "\"/error/code\""),
    ("gateway.profile.answer", "transaction_id", "\"/transaction_id\""),
    ("gateway.profile.answer", "amount", "\"/amount\""),
    ("gateway.profile.answer", "currency", "\"/currency\""),
    ("gateway.profile.answer", "code", "\"/code\""),
    ("gateway.profile", "rule", RULES),
];

const RULES: &str = r#"[
  { http = 200, status = "approved", means = "approved" },
  { http = 200, status = "declined", code = "duplicate_transaction", means = "duplicate" },
  { http = 200, status = "declined", means = "declined" },
  { http = 400, error = "invalid_request", means = "not_taken" },
  { http = 429, error = "rate_limited", means = "not_taken" },
  { http = 409, error = "in_progress", means = "running" },
  { http = 422, error = "key_reused", means = "key_reused" },
]"#;
