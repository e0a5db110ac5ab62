-- Version 1. Applied by `tollbridge migrate`, which notes the version in tollbridge_meta; never by hand beside it.
-- Times are microseconds since 1970: datetime(stored_at / 1000000, 'unixepoch') shows one.

-- One row an id, over every transaction that may have reached the gateway. The columns are the fields of the events
-- on tx-archived and tx-declined. Rows must live as long as a producer may publish an id again.
CREATE TABLE transactions (
    event_id         TEXT    NOT NULL CHECK (length(event_id) = 32),
    fate             TEXT    NOT NULL CHECK (fate IN ('archived', 'declined', 'in_doubt')),
    transaction_id   TEXT    NOT NULL PRIMARY KEY,
    account_id       TEXT    NOT NULL,
    amount           INTEGER NOT NULL CHECK (amount > 0),  -- minor units
    currency         TEXT    NOT NULL CHECK (length(currency) = 3),
    gateway_id       TEXT,
    code             TEXT,
    attempts         INTEGER NOT NULL CHECK (attempts >= 0),
    source_topic     TEXT    NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset    INTEGER NOT NULL,
    payload_hash     TEXT    NOT NULL CHECK (length(payload_hash) = 64),
    created_at       INTEGER NOT NULL,
    admitted_at      INTEGER NOT NULL,
    decided_at       INTEGER,
    stored_at        INTEGER
) STRICT;

CREATE VIEW archived_transactions AS SELECT * FROM transactions WHERE fate = 'archived';
CREATE VIEW declined_transactions AS SELECT * FROM transactions WHERE fate = 'declined';
CREATE VIEW in_doubt_transactions AS SELECT * FROM transactions WHERE fate = 'in_doubt';

-- What `tollbridge resolve` was told, and what it changed. Lines are only added.
CREATE TABLE resolutions (
    resolution_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id    TEXT    NOT NULL,
    finding           TEXT    NOT NULL CHECK (finding IN ('charged', 'not_charged')),
    gateway_id        TEXT    CHECK ((finding = 'charged') = (gateway_id IS NOT NULL)),
    resolved_by       TEXT    NOT NULL,
    resolved_at       INTEGER NOT NULL,
    source_topic      TEXT    NOT NULL,
    source_partition  INTEGER NOT NULL,
    source_offset     INTEGER NOT NULL,
    before_gateway_id TEXT,
    before_code       TEXT,
    before_decided_at INTEGER
) STRICT;
CREATE INDEX resolutions_of_transaction ON resolutions (transaction_id, resolution_id);

CREATE TRIGGER resolutions_never_changed BEFORE UPDATE ON resolutions
BEGIN
    SELECT RAISE(ABORT, 'lines of resolutions are only added, never changed or deleted');
END;
CREATE TRIGGER resolutions_never_deleted BEFORE DELETE ON resolutions
BEGIN
    SELECT RAISE(ABORT, 'lines of resolutions are only added, never changed or deleted');
END;

-- From where each consumer group first read each partition; written once.
CREATE TABLE sources (
    consumer_group TEXT    NOT NULL,
    topic          TEXT    NOT NULL,
    partition      INTEGER NOT NULL,
    start_offset   INTEGER NOT NULL,
    first_seen_at  INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    PRIMARY KEY (consumer_group, topic, partition)
) STRICT;

-- One row. The store id tells this store from every other one, a restored copy's twin excepted.
CREATE TABLE tollbridge_meta (
    only_row       INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
    schema_version INTEGER NOT NULL,
    readable_from  INTEGER NOT NULL,  -- the oldest version whose programs still work with these tables
    store_id       TEXT    NOT NULL CHECK (length(store_id) = 32),
    created_at     INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT;
INSERT INTO tollbridge_meta (schema_version, readable_from, store_id) VALUES (1, 1, lower(hex(randomblob(16))));
