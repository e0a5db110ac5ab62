-- One step of HSCAN that leaves the bodies where they are: answers the next cursor, then id and place of
-- each entry. KEYS: 1 the hash. ARGV: 1 the cursor, 2 how many entries to look at.
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local answer, flat = {page[1]}, page[2]
for i = 1, #flat, 2 do
  answer[i + 1] = flat[i]
  answer[i + 2] = string.sub(flat[i + 1], 1, 8)
end
return answer
