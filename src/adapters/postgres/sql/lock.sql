SELECT
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at
FROM transactions
WHERE transaction_id = $1
FOR UPDATE
