SELECT consumer_group, topic, partition, start_offset
FROM sources FINAL
WHERE consumer_group = ? AND topic = ?
ORDER BY partition
