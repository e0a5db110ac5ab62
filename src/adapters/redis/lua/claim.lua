-- Writes the owner's epoch unless a higher one stands. Epochs are compared as decimal text, since Lua's
-- numbers end at 2^53. What isn't a number was not written by an owner and gives way.
-- KEYS: 1 temp, 2 archive, 3 epoch. ARGV: 1 the epoch.
redis.call('HLEN', KEYS[1])
redis.call('HLEN', KEYS[2])
local mine = ARGV[1]
local stands = redis.call('GET', KEYS[3])
if stands and string.find(stands, '^%d+$') then
  if #stands > #mine or (#stands == #mine and stands > mine) then
    return redis.error_reply('EPOCH ' .. stands)
  end
end
if stands ~= mine then
  redis.call('SET', KEYS[3], mine)
end
return 1
