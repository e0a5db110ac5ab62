-- One page of a topic's open doubts in the order of their ids, after the second argument ('' comes before every id).
-- FINAL is only paid for the few that ever were.
SELECT
    event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
    source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at, generation
FROM transactions FINAL
WHERE fate = 'in_doubt' AND code != 'not_charged' AND source_topic = ? AND transaction_id > ?
    AND transaction_id IN (SELECT transaction_id FROM transactions WHERE fate = 'in_doubt')
ORDER BY transaction_id
LIMIT ?
