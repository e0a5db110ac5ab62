-- One page of a topic's rows in the order of their ids, after the second argument ('' comes before every id).
SELECT
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at, generation
FROM transactions FINAL
WHERE source_topic = ? AND transaction_id > ?
ORDER BY transaction_id
LIMIT ?
