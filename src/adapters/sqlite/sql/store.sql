-- One statement for all rows, so one trip to the connection's thread. ?1 is a JSON array of arrays; which rows may
-- replace another was decided before, under the same lock.
INSERT INTO transactions (
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15,
    value ->> 16
FROM json_each(?1)
WHERE true
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
