UPDATE transactions SET fate = $2, gateway_id = $3, code = $4, decided_at = $5 WHERE transaction_id = $1
