"""Writes events.json: an outcome and an alert in Avro, made by an encoder that nobody here wrote, for wire::events' tests.

By hand, in a scratch environment (the result is committed, no test needs Python):
    pip install fastavro==1.13.1
    python tests/golden/events.py > tests/golden/events.json
"""

import datetime
import hashlib
import io
import json
import pathlib
import struct

import fastavro

SCHEMAS = pathlib.Path(__file__).parent / "../../schemas/avro"


def at(micros):
    return datetime.datetime.fromtimestamp(0, datetime.timezone.utc) + datetime.timedelta(microseconds=micros)


def write(name, record):
    schema = fastavro.parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text()))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue().hex()


payload_hash = bytes(range(32))
# As the schema's documentation of event_id says.
event = (b"tollbridge-event-1\0" + "transactions".encode() + b"\0" + struct.pack(">i", 3) + struct.pack(">q", 1234567)
         + payload_hash)
event_id = hashlib.sha256(event).digest()[:16].hex()
resolution_id = hashlib.sha256(event + b"resolved").digest()[:16].hex()
outcome = {
    "event_id": event_id, "fate": "archived", "transaction_id": "tx-1", "account_id": "acct_é", "amount": 1250,
    "currency": "EUR", "gateway_id": "ch_9", "code": None, "attempts": 2, "source_topic": "transactions",
    "source_partition": 3, "source_offset": 1234567, "payload_hash": payload_hash.hex(),
    "created_at": at(1700000000000001), "admitted_at": at(1700000000000002), "decided_at": at(1700000000000003),
    "stored_at": None,
}
alert = {
    "alert_id": "tollbridge:temp_queue_depth:1700000000000000", "rule": "temp_queue_depth", "state": "raised",
    "severity": "warning", "observed": 12, "threshold": 10, "unit": "transactions", "instance": "a-1",
    "since": at(1700000000000000), "at": at(1700000001000000), "message": "12 transactions wait",
}
print(json.dumps({
    "event_id": event_id, "resolution_id": resolution_id,
    "outcome": write("outcome", outcome), "alert": write("alert", alert),
}, indent=1))
