-- Version 1. Applied by `tollbridge migrate`, which notes the version in tollbridge_meta; never by hand beside it.

-- One row an id, over every transaction that may have reached the gateway. The columns are the fields of the events
-- on tx-archived and tx-declined. Rows must live as long as a producer may publish an id again.
CREATE TABLE transactions (
    event_id         text        NOT NULL CHECK (length(event_id) = 32),
    fate             text        NOT NULL CHECK (fate IN ('archived', 'declined', 'in_doubt')),
    transaction_id   text        COLLATE "C" PRIMARY KEY,
    account_id       text        NOT NULL,
    amount           bigint      NOT NULL CHECK (amount > 0),  -- minor units
    currency         text        NOT NULL CHECK (length(currency) = 3),
    gateway_id       text,
    code             text,
    attempts         bigint      NOT NULL CHECK (attempts >= 0),
    source_topic     text        NOT NULL,
    source_partition integer     NOT NULL,
    source_offset    bigint      NOT NULL,
    payload_hash     text        NOT NULL CHECK (length(payload_hash) = 64),
    created_at       timestamptz NOT NULL,
    admitted_at      timestamptz NOT NULL,
    decided_at       timestamptz,
    stored_at        timestamptz
);

CREATE VIEW archived_transactions AS SELECT * FROM transactions WHERE fate = 'archived';
CREATE VIEW declined_transactions AS SELECT * FROM transactions WHERE fate = 'declined';
CREATE VIEW in_doubt_transactions AS SELECT * FROM transactions WHERE fate = 'in_doubt';

-- What `tollbridge resolve` was told, and what it changed. Lines are only added.
CREATE TABLE resolutions (
    resolution_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id    text        COLLATE "C" NOT NULL,
    finding           text        NOT NULL CHECK (finding IN ('charged', 'not_charged')),
    gateway_id        text        CHECK ((finding = 'charged') = (gateway_id IS NOT NULL)),
    resolved_by       text        NOT NULL,
    resolved_at       timestamptz NOT NULL,
    source_topic      text        NOT NULL,
    source_partition  integer     NOT NULL,
    source_offset     bigint      NOT NULL,
    before_gateway_id text,
    before_code       text,
    before_decided_at timestamptz
);
CREATE INDEX resolutions_of_transaction ON resolutions (transaction_id, resolution_id);

CREATE FUNCTION tollbridge_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'lines of % are only added, never changed or deleted', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER resolutions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON resolutions
    FOR EACH STATEMENT EXECUTE FUNCTION tollbridge_append_only();

-- From where each consumer group first read each partition; written once.
CREATE TABLE sources (
    consumer_group text        NOT NULL,
    topic          text        NOT NULL,
    partition      integer     NOT NULL,
    start_offset   bigint      NOT NULL,
    first_seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition)
);

-- One row. The store id tells this store from every other one, a restored copy's twin excepted.
CREATE TABLE tollbridge_meta (
    only_row       boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_version integer     NOT NULL,
    readable_from  integer     NOT NULL,  -- the oldest version whose programs still work with these tables
    store_id       text        NOT NULL CHECK (store_id ~ '^[0-9a-f]{32}$'),
    created_at     timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tollbridge_meta (schema_version, readable_from, store_id)
VALUES (1, 1, replace(gen_random_uuid()::text, '-', ''));
