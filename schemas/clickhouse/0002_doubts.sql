-- Version 2.

-- Of the resolutions that a processor has made by itself, those whose event stands on Kafka. Lines are only added.
CREATE TABLE IF NOT EXISTS told_resolutions (
    transaction_id String,
    resolved_at    DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (transaction_id, resolved_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
