-- Creates one session: counts, writes its record where there is none, and indexes it. All of it or nothing.
-- KEYS: counter, guard, request
-- ARGV: counters' db, chats' db, start and end of the IDs' keys of the record, start and end of those of the history,
--       what IDs begin with, start and end of the record, seconds that the request is remembered, index keys …
-- Answers: created|repeated NUMBER FENCE, unfenced, invalid VALUE, taken NUMBER, overflow
local counter, guard, request = KEYS[1], KEYS[2], KEYS[3]
local counters_db, chats_db = ARGV[1], ARGV[2]

local function id_of(number)
  return ARGV[7] .. string.rep('0', 6 - #number) .. number
end

-- Whether the record of that number is still the one that this very request wrote.
local function is_ours(number)
  local id = id_of(number)
  choose(chats_db)
  local ours = redis.pcall('GET', ARGV[3] .. id .. ARGV[4]) == ARGV[8] .. id .. ARGV[9]
  choose(counters_db)
  return ours
end

choose(counters_db)
local state = redis.call('HMGET', guard, 'incarnation', 'fence', 'last')
local earlier = redis.call('GET', request)
if not state[1] or not state[2] or not is_count(state[3]) or state[1] ~= incarnation() then return {'unfenced'} end

local value, wrong = read_counter(counter)
if not value then return {'invalid', wrong} end
-- Redis may have lost the session since, and counted to its number for somebody else.
if earlier and is_ours(earlier) then
  if less(value, earlier) then redis.call('SET', counter, earlier) end
  if less(state[3], earlier) then redis.call('HSET', guard, 'last', earlier) end
  return {'repeated', earlier, state[2]}
end
local base = larger(value, state[3])
if base == LARGEST then return {'overflow'} end
local number = successor(base)
local id = id_of(number)

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
