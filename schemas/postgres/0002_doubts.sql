-- Version 2.

-- What is open is counted every few seconds, among however many rows.
CREATE INDEX transactions_in_doubt ON transactions (transaction_id)
    WHERE fate = 'in_doubt' AND code <> 'not_charged';

-- Of the resolutions that a processor has made by itself, those whose event stands on Kafka. Lines are only added.
CREATE TABLE told_resolutions (
    transaction_id text COLLATE "C" NOT NULL,
    resolved_at    timestamptz NOT NULL,
    PRIMARY KEY (transaction_id, resolved_at)
);
