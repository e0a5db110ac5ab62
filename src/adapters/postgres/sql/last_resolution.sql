SELECT
    finding, gateway_id, resolved_by, resolved_at, source_topic, source_partition, source_offset,
    before_gateway_id, before_code, before_decided_at
FROM resolutions
WHERE transaction_id = $1
ORDER BY resolution_id DESC
LIMIT 1
