-- Answers one an entry: 1 = in the archive now, or already; 0 = temp has no such entry. Entries are added
-- to the archive before they are deleted from temp: were the script to die in between, none would be lost.
local answers, adds, gone, moved = {}, {}, {}, {}
for i = 1, count do
  local id, value = ARGV[i + 1], ARGV[count + i + 1]
  local place = sub(value, 1, 8)
  local t, a = temp[i], archive[i]
  if moved[id] then
    t, a = false, moved[id]
  end
  if t and sub(t, 1, 8) == place then
    answers[i] = 1
    moved[id] = value
    adds[#adds + 1] = id
    adds[#adds + 1] = value
    gone[#gone + 1] = id
  elseif a and sub(a, 1, 8) == place then
    answers[i] = 1
  else
    answers[i] = 0
  end
end
if #gone > 0 then
  redis.call('HSET', KEYS[2], unpack(adds))
  redis.call('HDEL', KEYS[1], unpack(gone))
end
return answers
