-- Answers one an entry: 1 = its body is the given one now, or was already; 0 = temp has no such entry. What stands
-- there already is not written again.
local answers, adds, standing = {}, {}, {}
for i = 1, count do
  local id, value = ARGV[i + 1], ARGV[count + i + 1]
  -- An entry may come twice in a batch.
  local t = standing[id] or temp[i]
  if t and sub(t, 1, 8) == sub(value, 1, 8) then
    answers[i] = 1
    if t ~= value then
      adds[#adds + 1] = id
      adds[#adds + 1] = value
      standing[id] = value
    end
  else
    answers[i] = 0
  end
end
if #adds > 0 then
  redis.call('HSET', KEYS[1], unpack(adds))
end
return answers
