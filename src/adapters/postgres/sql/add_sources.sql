INSERT INTO sources (consumer_group, topic, partition, start_offset)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])
ON CONFLICT (consumer_group, topic, partition) DO NOTHING
