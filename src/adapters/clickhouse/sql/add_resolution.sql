INSERT INTO resolutions (
    transaction_id, finding, gateway_id, resolved_by, resolved_at, source_topic, source_partition, source_offset,
    before_gateway_id, before_code, before_decided_at
)
SELECT ?, ?, ?, ?, fromUnixTimestamp64Micro(?, 'UTC'), ?, ?, ?, ?, ?, fromUnixTimestamp64Micro(?, 'UTC')
