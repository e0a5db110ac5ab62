SELECT name, engine_full AS engine
FROM system.tables
WHERE database = currentDatabase() AND name IN ('transactions', 'resolutions', 'sources', 'told_resolutions', 'tollbridge_meta')
