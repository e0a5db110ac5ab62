SELECT schema_version, readable_from, store_id, toUnixTimestamp64Micro(now64(6)) AS now
FROM tollbridge_meta
ORDER BY schema_version DESC
LIMIT 1
