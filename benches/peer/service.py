"""The job as a service in Python commonly does it: a message a task, 256 of them at once, on one event loop.

    service.py BROKERS REDIS POSTGRES GATEWAY PARTITIONS

Records come in batches, and so do offsets; everything else is done for each message. A death between two steps
charges twice, or loses what was charged, and nothing is asked for again.
"""

import asyncio
import json
import sys

import aiohttp
import asyncpg
import redis.asyncio
import uvloop
from confluent_kafka import Consumer, Producer, TopicPartition

IN_FLIGHT = 256
BATCH = 500
POOL = 16
TABLE = """CREATE TABLE IF NOT EXISTS naive (transaction_id text PRIMARY KEY, account_id text NOT NULL,
    amount bigint NOT NULL, currency text NOT NULL, charge_id text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now())"""
INSERT = """INSERT INTO naive (transaction_id, account_id, amount, currency, charge_id)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"""


class Service:
    def __init__(self, gateway, http, cache, pool, producer):
        self.gateway, self.http, self.cache, self.pool, self.producer = gateway, http, cache, pool, producer
        self.room = asyncio.Semaphore(IN_FLIGHT)

    async def take(self, message):
        """One message, from its payload to its event."""
        payload = message.value()
        transaction = json.loads(payload)
        key = transaction["transaction_id"]
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        async with self.room:
            await self.cache.hset("naive:temp", key, payload)
            async with self.http.post(self.gateway, data=payload, headers=headers) as response:
                charge = await response.json()
            if charge["status"] != "approved":
                raise RuntimeError(f"{key} is {charge['status']}")
            async with self.cache.pipeline(transaction=True) as move:
                await move.hdel("naive:temp", key).hset("naive:archive", key, payload).execute()
            account, amount = transaction["account_id"], transaction["amount"]
            await self.pool.execute(INSERT, key, account, amount, transaction["currency"], charge["id"])
            event = json.dumps({"transaction_id": key, "fate": "archived"})
            self.producer.produce("tx-archived", key=key, value=event)
            await self.cache.hdel("naive:archive", key)


async def main(brokers, cache_url, store_url, gateway, partitions):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "naive", "enable.auto.commit": False})
    consumer.assign([TopicPartition("transactions", number, 0) for number in range(int(partitions))])
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 5})
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        asyncpg.create_pool(store_url, min_size=POOL, max_size=POOL) as pool,
        redis.asyncio.from_url(cache_url, max_connections=IN_FLIGHT) as cache,
    ):
        await pool.execute(TABLE)
        service = Service(gateway, http, cache, pool, producer)
        while True:
            messages = await loop.run_in_executor(None, consumer.consume, BATCH, 0.1)
            if not messages:
                continue
            for message in messages:
                if message.error():
                    raise RuntimeError(str(message.error()))
            await asyncio.gather(*map(service.take, messages))
            # Offsets are committed once the events are out.
            await loop.run_in_executor(None, producer.flush)
            consumer.commit(asynchronous=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
