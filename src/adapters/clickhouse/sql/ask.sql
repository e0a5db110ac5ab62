-- The row of each id that stands: the highest version, as under FINAL, which takes several times as long for it.
SELECT
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at, generation
FROM transactions
WHERE transaction_id IN ?
ORDER BY version DESC
LIMIT 1 BY transaction_id
