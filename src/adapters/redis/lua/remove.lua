-- Deletes from both hashes where the place matches. The values given are places alone.
local fromTemp, fromArchive = {}, {}
for i = 1, count do
  local id, place = ARGV[i + 1], ARGV[count + i + 1]
  local t, a = temp[i], archive[i]
  if t and sub(t, 1, 8) == place then
    fromTemp[#fromTemp + 1] = id
  end
  if a and sub(a, 1, 8) == place then
    fromArchive[#fromArchive + 1] = id
  end
end
if #fromTemp > 0 then
  redis.call('HDEL', KEYS[1], unpack(fromTemp))
end
if #fromArchive > 0 then
  redis.call('HDEL', KEYS[2], unpack(fromArchive))
end
return 1
