-- The number that was counted to last under a fence, '' where that doesn't stand in this life of the server.
-- KEYS: guard
-- ARGV: counters' db, fence
choose(ARGV[1])
local state = redis.call('HMGET', KEYS[1], 'incarnation', 'fence', 'last')
if state[2] ~= ARGV[2] or not is_count(state[3]) or state[1] ~= incarnation() then return '' end
return state[3]
