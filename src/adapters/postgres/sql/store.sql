-- One statement, so one transaction: all of the batch or none of it, in one round trip.
-- Under REPEATABLE READ, a row that someone else wrote since the statement began is error 40001, so the rows that
-- the last part reads are exactly those that the insert met.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
        $9::bigint[], $10::text[], $11::integer[], $12::bigint[], $13::text[], $14::timestamptz[],
        $15::timestamptz[], $16::timestamptz[], $17::timestamptz[]
    )
), put AS (
    INSERT INTO transactions AS old (
        event_id, fate, transaction_id, account_id, amount, currency, gateway_id, code, attempts, source_topic,
        source_partition, source_offset, payload_hash, created_at, admitted_at, decided_at, stored_at
    )
    SELECT * FROM given
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
    -- Outcome::supersedes, in SQL.
    WHERE (excluded.fate = 'archived' AND old.fate <> 'archived')
       OR (old.fate = 'in_doubt' AND old.code = 'not_charged'
           AND (old.source_topic, old.source_partition, old.source_offset)
               <> (excluded.source_topic, excluded.source_partition, excluded.source_offset))
    RETURNING old.transaction_id
)
-- The rows that were there before, as they were; what is not among them is new.
SELECT
    old.event_id, old.fate, old.transaction_id, old.account_id, old.amount, old.currency, old.gateway_id, old.code,
    old.attempts, old.source_topic, old.source_partition, old.source_offset, old.payload_hash, old.created_at,
    old.admitted_at, old.decided_at, old.stored_at, put.transaction_id IS NOT NULL AS replaced
FROM transactions AS old
LEFT JOIN put ON put.transaction_id = old.transaction_id
WHERE old.transaction_id = ANY($3)
