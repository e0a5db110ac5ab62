-- Answers one an entry: 0 = new; {1, value} = in temp; {2, value} = in the archive; {3, place} and
-- {4, place} = the id stands elsewhere, in temp or in the archive. A value too short to hold a place
-- counts as absent and is written over.
local answers, adds, added = {}, {}, {}
for i = 1, count do
  local id, value = ARGV[i + 1], ARGV[count + i + 1]
  local place = sub(value, 1, 8)
  local t, a = added[id] or temp[i], archive[i]
  t = t and #t >= 8 and t
  a = a and #a >= 8 and a
  if a and sub(a, 1, 8) == place then
    answers[i] = {2, a}
  elseif t and sub(t, 1, 8) == place then
    answers[i] = {1, t}
  elseif a then
    answers[i] = {4, sub(a, 1, 8)}
  elseif t then
    answers[i] = {3, sub(t, 1, 8)}
  else
    answers[i] = 0
    added[id] = value
    adds[#adds + 1] = id
    adds[#adds + 1] = value
  end
end
if #adds > 0 then
  redis.call('HSET', KEYS[1], unpack(adds))
end
return answers
