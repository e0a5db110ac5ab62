"""Prints the headers of every committed record of a topic as confluent-kafka reads them: a JSON line each, with partition,
offset, and names with the values' hexadecimal digits. For clients.rs; `make clients` installs what it needs.
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

SECONDS = 60

brokers, topic = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": "clients",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
})
partitions = consumer.list_topics(topic, SECONDS).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
unread = len(partitions)
while unread:
    message = consumer.poll(SECONDS)
    if message is None:
        sys.exit("nothing comes")
    if message.error() is None:
        headers = [[name, None if value is None else value.hex()] for name, value in message.headers() or []]
        print(json.dumps([message.partition(), message.offset(), headers]))
    elif message.error().code() == KafkaError._PARTITION_EOF:
        unread -= 1
    else:
        raise KafkaException(message.error())
consumer.close()
