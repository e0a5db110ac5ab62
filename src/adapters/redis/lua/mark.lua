-- Answers one an entry: 1 = its body is replaced; 0 = temp has no such entry.
local answers, adds = {}, {}
for i = 1, count do
  local id, value = ARGV[i + 1], ARGV[count + i + 1]
  local t = temp[i]
  if t and sub(t, 1, 8) == sub(value, 1, 8) then
    answers[i] = 1
    adds[#adds + 1] = id
    adds[#adds + 1] = value
  else
    answers[i] = 0
  end
end
if #adds > 0 then
  redis.call('HSET', KEYS[1], unpack(adds))
end
return answers
