-- How many doubts are open. FINAL is only paid for the few that ever were.
SELECT count()
FROM transactions FINAL
WHERE fate = 'in_doubt' AND code != 'not_charged'
    AND transaction_id IN (SELECT transaction_id FROM transactions WHERE fate = 'in_doubt')
