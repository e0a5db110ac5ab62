-- Several may have been written at the same time, though one alone changed the row: that one before the others.
SELECT
    finding, gateway_id, resolved_by, resolved_at, source_topic, source_partition, source_offset,
    before_gateway_id, before_code, before_decided_at
FROM resolutions
WHERE transaction_id = ?
ORDER BY toUnixTimestamp64Micro(resolved_at) = ? DESC, added_at DESC
LIMIT 1
