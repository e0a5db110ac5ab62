INSERT INTO resolutions (
    transaction_id, finding, gateway_id, resolved_by, resolved_at, source_topic, source_partition, source_offset,
    before_gateway_id, before_code, before_decided_at
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
