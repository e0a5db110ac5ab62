-- Answers the positions, from 1, of the keys that stand in neither hash. The values given are places alone.
local missing = {}
for i = 1, count do
  local place = ARGV[count + i + 1]
  local t, a = temp[i], archive[i]
  if not (t and sub(t, 1, 8) == place) and not (a and sub(a, 1, 8) == place) then
    missing[#missing + 1] = i
  end
end
return missing
