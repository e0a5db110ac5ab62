"""Writes transactions.json: Avro records made by encoders that nobody here wrote, for wire::transaction's tests.

By hand, in a scratch environment (the result is committed, no test needs Python):
    pip install fastavro==1.13.1 'confluent-kafka[avro,schemaregistry]==2.16.0' avro==1.12.2
    python tests/golden/transactions.py > tests/golden/transactions.json
"""

import decimal
import datetime
import io
import json
import pathlib
import uuid

import avro.io
import avro.schema
import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

OURS = json.loads((pathlib.Path(__file__).parent / "../../schemas/avro/transaction.avsc").read_text())
AT = datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=datetime.timezone.utc)
FULL = {
    "transaction_id": "tx-1", "account_id": "acct_é€𝄞", "amount": 1250, "currency": "EUR",
    "payment_method": "pm_visa", "created_at": AT, "description": "Tea\nand milk",
    "metadata": {"order": "99", "zone": "north"},
}
BARE = {k: FULL[k] for k in ("transaction_id", "account_id", "amount", "currency", "payment_method", "created_at")}
vectors = []


def add(name, by, schema, value, headers=()):
    vectors.append({
        "name": name, "by": by, "schema": schema, "value": value.hex(),
        "headers": [[n, v.hex()] for n, v in headers],
    })


def fast(schema, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(schema))), record)
    return out.getvalue()


def changed(**types):
    """Our schema with other types for some fields; None leaves a field out."""
    schema = json.loads(json.dumps(OURS))
    fields = []
    for field in schema["fields"]:
        kind = types.get(field["name"], field["type"])
        if kind is not None:
            fields.append({"name": field["name"], "type": kind})
    schema["fields"] = fields
    return schema


def with_fields(schema, before=(), after=()):
    return {**schema, "fields": [*before, *schema["fields"], *after]}


add("full", "fastavro", OURS, fast(OURS, FULL))
add("defaults", "fastavro", OURS, fast(OURS, BARE))

apache = io.BytesIO()
avro.io.DatumWriter(avro.schema.parse(json.dumps(OURS))).write(FULL, avro.io.BinaryEncoder(apache))
add("full, Apache's encoder", "avro", OURS, apache.getvalue())

older = changed(description=None, metadata=None)
add("an older writer without the optional fields", "fastavro", older, fast(older, BARE))

amounts = {
    "decimal bytes": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2},
    "decimal fixed": {"type": "fixed", "name": "Money", "size": 16,
                      "logicalType": "decimal", "precision": 38, "scale": 2},
    "decimal in a union": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}],
}
for name, kind in amounts.items():
    schema = changed(amount=kind)
    add(name, "fastavro", schema, fast(schema, {**FULL, "amount": decimal.Decimal("12.50")}))
schema = changed(amount=amounts["decimal bytes"])
add("decimal below zero", "fastavro", schema, fast(schema, {**FULL, "amount": decimal.Decimal("-12.50")}))
add("decimal beyond 64 bits", "fastavro", schema,
    fast(schema, {**FULL, "amount": decimal.Decimal("123456789012345678.00")}))
add("decimal of another currency", "fastavro", schema,
    fast(schema, {**FULL, "amount": decimal.Decimal("12.50"), "currency": "JPY"}))
schema = changed(amount={"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0})
add("decimal of yen", "fastavro", schema,
    fast(schema, {**FULL, "amount": decimal.Decimal("1250"), "currency": "JPY"}))

schema = changed(amount="int")
add("int amount", "fastavro", schema, fast(schema, FULL))
schema = changed(created_at={"type": "long", "logicalType": "timestamp-millis"})
add("timestamp-millis", "fastavro", schema, fast(schema, FULL))
schema = changed(created_at="long")
add("plain long time", "fastavro", schema, fast(schema, {**FULL, "created_at": 1700000000123456}))
schema = changed(transaction_id={"type": "string", "logicalType": "uuid"})
add("uuid id", "fastavro", schema,
    fast(schema, {**FULL, "transaction_id": uuid.UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")}))
schema = changed(currency={"type": "enum", "name": "Currency", "symbols": ["USD", "EUR"]})
add("enum currency", "fastavro", schema, fast(schema, FULL))
schema = changed(payment_method=["null", "string"], metadata=["null", {"type": "map", "values": ["null", "string"]}])
add("unions", "fastavro", schema, fast(schema, FULL))
add("null in a union", "fastavro", schema, fast(schema, {**FULL, "payment_method": None}))

schema = with_fields(
    OURS,
    before=[{"name": "lines", "type": {"type": "array", "items": {
        "type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "price", "type": "double"}]}}}],
    after=[{"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
           {"name": "checksum", "type": {"type": "fixed", "name": "Sum", "size": 4}}],
)
add("fields that we don't know", "fastavro", schema,
    fast(schema, {**FULL, "lines": [{"sku": "a", "price": 1.5}] * 3, "kind": "B", "checksum": b"abcd"}))

schema = json.loads(json.dumps(OURS))
schema["fields"][0] |= {"name": "txId", "aliases": ["transaction_id"]}
add("alias", "fastavro", schema, fast(schema, {**FULL, "txId": "tx-1"}))

registry = SchemaRegistryClient.new_client({"url": "mock://golden"})
context = SerializationContext("transactions", MessageField.VALUE, [])
add("Confluent frame", "confluent-kafka", OURS, AvroSerializer(registry, json.dumps(OURS))(FULL, context))
context = SerializationContext("transactions", MessageField.VALUE, [])
serialise = AvroSerializer(registry, json.dumps(OURS), conf={"schema.id.serializer": header_schema_id_serializer})
value = serialise(FULL, context)
headers = context.headers.items() if isinstance(context.headers, dict) else context.headers
add("Confluent header with a GUID", "confluent-kafka", OURS, value, headers)

print(json.dumps(vectors, indent=1, ensure_ascii=True))
