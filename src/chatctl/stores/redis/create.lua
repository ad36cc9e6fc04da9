-- Creates one session: counts, writes its record where there is none, and indexes it. All of it or nothing.
-- KEYS: counter, guard, request
-- ARGV: counters' db, chats' db, start and end of the IDs' keys of the record, start and end of those of the history,
--       what IDs begin with, start and end of the record, seconds that the request is remembered, index keys …
-- Answers: created|repeated NUMBER FENCE, unfenced, invalid VALUE, taken NUMBER, overflow
local counter, guard, request = KEYS[1], KEYS[2], KEYS[3]
local counters_db, chats_db = ARGV[1], ARGV[2]

choose(counters_db)
local state = redis.call('HMGET', guard, 'incarnation', 'fence', 'last')
local earlier = redis.call('GET', request)
if not state[1] or not state[2] or not is_count(state[3]) or state[1] ~= incarnation() then return {'unfenced'} end
if earlier then return {'repeated', earlier, state[2]} end

local value, wrong = read_counter(counter)
if not value then return {'invalid', wrong} end
local base = larger(value, state[3])
if base == LARGEST then return {'overflow'} end
local number = successor(base)
local digits = number
if #digits < 6 then digits = string.rep('0', 6 - #digits) .. digits end
local id = ARGV[7] .. digits

choose(chats_db)
local record = ARGV[3] .. id .. ARGV[4]
if redis.call('EXISTS', record) == 1 or redis.call('EXISTS', ARGV[5] .. id .. ARGV[6]) == 1 then
  return {'taken', number}
end
redis.call('SET', record, ARGV[8] .. id .. ARGV[9])
for position = 11, #ARGV do redis.call('SADD', ARGV[position], id) end

choose(counters_db)
redis.call('SET', counter, number)
redis.call('HSET', guard, 'last', number)
redis.call('SET', request, number, 'EX', ARGV[10])
return {'created', number, state[2]}
