SELECT
    current_setting('server_version'), current_setting('server_version_num')::integer, clock_timestamp(),
    current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding'),
    pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean
