-- The ? of VALUES stands for the parameters of as many rows as the statement takes; which rows may replace another was decided
-- before, under the same lock.
INSERT INTO transactions (
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at
)
VALUES (?)
ON CONFLICT (transaction_id) DO UPDATE SET
    event_id = excluded.event_id,
    fate = excluded.fate,
    account_id = excluded.account_id,
    amount = excluded.amount,
    currency = excluded.currency,
    gateway_id = excluded.gateway_id,
    code = excluded.code,
    attempts = excluded.attempts,
    source_topic = excluded.source_topic,
    source_partition = excluded.source_partition,
    source_offset = excluded.source_offset,
    payload_hash = excluded.payload_hash,
    created_at = excluded.created_at,
    admitted_at = excluded.admitted_at,
    decided_at = excluded.decided_at,
    stored_at = excluded.stored_at
