-- Answers the commands of ours that the user may not run on these keys. KEYS: 1 temp, 2 archive, 3 epoch.
local each = {
  {'EVAL', 'return 1', '0'}, {'EVALSHA', 'a', '0'}, {'GET', KEYS[3]}, {'SET', KEYS[3], '1'},
  {'HLEN', KEYS[1]}, {'HMGET', KEYS[1], 'a'}, {'HSET', KEYS[2], 'a', 'b'}, {'HDEL', KEYS[1], 'a'},
  {'HSCAN', KEYS[1], '0'}, {'INFO'}, {'TIME'},
}
local refused = {}
for _, command in ipairs(each) do
  if not redis.acl_check_cmd(unpack(command)) then
    refused[#refused + 1] = command[1]
  end
end
return refused
