-- Resolutions by the first argument whose event may not stand on Kafka, the oldest first.
SELECT transaction_id, finding, gateway_id, resolved_by, toUnixTimestamp64Micro(resolved_at) AS resolved_at
FROM resolutions
WHERE resolved_by = ? AND source_topic = ?
    AND (transaction_id, resolutions.resolved_at) NOT IN (SELECT transaction_id, resolved_at FROM told_resolutions)
ORDER BY added_at
