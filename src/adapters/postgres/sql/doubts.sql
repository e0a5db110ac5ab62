-- One page of a topic's open doubts in the order of their ids, after $2 ('' comes before every id).
SELECT
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at
FROM transactions
WHERE fate = 'in_doubt' AND code <> 'not_charged' AND source_topic = $1 AND transaction_id > $2
ORDER BY transaction_id
LIMIT $3
