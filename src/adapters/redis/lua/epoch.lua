-- The head of every script but claim: nothing is read or written for anyone but the partition's owner.
-- KEYS: 1 temp, 2 archive, 3 epoch. ARGV: 1 the owner's epoch, then all ids, then all values in the same
-- order; a value is the 8 bytes of the offset and then the body.
local stands = redis.call('GET', KEYS[3])
if stands ~= ARGV[1] then
  return redis.error_reply('EPOCH ' .. (stands or 'none'))
end
local sub = string.sub
local count = (#ARGV - 1) / 2
-- Reading both hashes comes first: a key of a wrong type ends the script here, before anything is written.
local temp = redis.call('HMGET', KEYS[1], unpack(ARGV, 2, count + 1))
local archive = redis.call('HMGET', KEYS[2], unpack(ARGV, 2, count + 1))
