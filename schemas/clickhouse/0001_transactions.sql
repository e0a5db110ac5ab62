-- Version 1. Applied by `tollbridge migrate`, which notes the version in tollbridge_meta. A table that stands already
-- is left as it is: on a replicated ClickHouse, make them by hand first, with the engines' replicated namesakes.

-- One row an id under FINAL, over every transaction that may have reached the gateway. The columns are the fields of
-- the events on tx-archived and tx-declined, and two of our own. Rows must live as long as a producer may publish an
-- id again.
CREATE TABLE IF NOT EXISTS transactions (
    event_id         String,
    fate             LowCardinality(String),
    transaction_id   String,
    account_id       String,
    amount           Int64,  -- minor units
    currency         LowCardinality(String),
    gateway_id       Nullable(String),
    code             Nullable(String),
    attempts         UInt32,
    source_topic     LowCardinality(String),
    source_partition Int32,
    source_offset    Int64,
    payload_hash     String,
    created_at       DateTime64(6, 'UTC'),
    admitted_at      DateTime64(6, 'UTC'),
    decided_at       Nullable(DateTime64(6, 'UTC')),
    stored_at        Nullable(DateTime64(6, 'UTC')),
    -- How many rows of the id this one comes after; of two that came after the same one, the earlier stands.
    generation       UInt32,
    -- Which row of an id stands, the highest: an approval before all else, then the later generation, then what came
    -- in first by the server's clock: who has read that his row stands is not overtaken by another of the same rank.
    version          UInt64 MATERIALIZED
        if(fate = 'archived', bitShiftLeft(toUInt64(1), 63), 0)
        + bitShiftLeft(toUInt64(least(generation, 2047)), 52)
        + (bitShiftLeft(toUInt64(1), 52) - 1 - toUInt64(toUnixTimestamp64Micro(now64(6)))),
    -- Most ids that are asked for are new: it tells that a granule has none of them without reading it. A thousand
    -- are asked for at a time, so no more than one in ten thousand may seem to be there.
    INDEX by_transaction_id transaction_id TYPE bloom_filter(0.0001) GRANULARITY 1,
    CONSTRAINT event_id_is_whole CHECK length(event_id) = 32,
    CONSTRAINT fate_leaves_a_row CHECK fate IN ('archived', 'declined', 'in_doubt'),
    CONSTRAINT amount_is_positive CHECK amount > 0,
    CONSTRAINT currency_is_three_letters CHECK length(currency) = 3,
    CONSTRAINT payload_hash_is_whole CHECK length(payload_hash) = 64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY transaction_id
SETTINGS
    -- An id is looked up by reading the whole granule that it would stand in: small ones.
    index_granularity = 1024,
    -- What is acknowledged is on disk.
    fsync_after_insert = 1, fsync_part_directory = 1,
    -- So many batches back, one that is sent again is known by its token and leaves nothing.
    non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS archived_transactions AS SELECT * FROM transactions FINAL WHERE fate = 'archived';
CREATE VIEW IF NOT EXISTS declined_transactions AS SELECT * FROM transactions FINAL WHERE fate = 'declined';
CREATE VIEW IF NOT EXISTS in_doubt_transactions AS SELECT * FROM transactions FINAL WHERE fate = 'in_doubt';

-- What `tollbridge resolve` was told, and what it changed. Lines are only added: grant nobody more. A line whose
-- resolved_at no row of the id ever had as decided_at was cut short before it changed anything, or lost against
-- another.
CREATE TABLE IF NOT EXISTS resolutions (
    transaction_id    String,
    finding           LowCardinality(String),
    gateway_id        Nullable(String),
    resolved_by       String,
    resolved_at       DateTime64(6, 'UTC'),
    source_topic      LowCardinality(String),
    source_partition  Int32,
    source_offset     Int64,
    before_gateway_id Nullable(String),
    before_code       Nullable(String),
    before_decided_at Nullable(DateTime64(6, 'UTC')),
    added_at          DateTime64(6, 'UTC') MATERIALIZED now64(6),
    CONSTRAINT finding_is_one_of_two CHECK finding IN ('charged', 'not_charged'),
    CONSTRAINT charged_has_a_gateway_id CHECK (finding = 'charged') = isNotNull(gateway_id)
)
ENGINE = MergeTree
ORDER BY (transaction_id, added_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;

-- From where each consumer group first read each partition; the first word on each stands.
CREATE TABLE IF NOT EXISTS sources (
    consumer_group String,
    topic          String,
    partition      Int32,
    start_offset   Int64,
    first_seen_at  DateTime64(6, 'UTC') MATERIALIZED now64(6),
    version        UInt64 MATERIALIZED bitShiftLeft(toUInt64(1), 52) - 1 - toUInt64(toUnixTimestamp64Micro(now64(6)))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (consumer_group, topic, partition)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row a version; the highest counts. The store id tells this store from every other one, a restored copy's twin
-- excepted. Of those who make a store at the same time the first one's row goes in: all give it the same token.
CREATE TABLE IF NOT EXISTS tollbridge_meta (
    schema_version UInt32,
    readable_from  UInt32,  -- the oldest version whose programs still work with these tables
    store_id       String,
    created_at     DateTime64(6, 'UTC') MATERIALIZED now64(6),
    CONSTRAINT store_id_is_whole CHECK match(store_id, '^[0-9a-f]{32}$')
)
ENGINE = MergeTree
ORDER BY schema_version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;
