-- Resolutions by $1 whose event may not stand on Kafka, the oldest first.
SELECT transaction_id, finding, gateway_id, resolved_by, resolved_at
FROM resolutions
WHERE resolved_by = $1 AND source_topic = $2 AND NOT EXISTS (
    SELECT FROM told_resolutions
    WHERE told_resolutions.transaction_id = resolutions.transaction_id
        AND told_resolutions.resolved_at = resolutions.resolved_at
)
ORDER BY resolution_id
