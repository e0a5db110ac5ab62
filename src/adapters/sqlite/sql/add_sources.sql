-- ?1 is a JSON array of [group, topic, partition, start].
INSERT INTO sources (consumer_group, topic, partition, start_offset)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)
WHERE true
ON CONFLICT (consumer_group, topic, partition) DO NOTHING
