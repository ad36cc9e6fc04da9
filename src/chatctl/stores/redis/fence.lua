-- Takes over the counting of one scope in this life of the server, above everything that may have been issued.
-- KEYS: counter, guard
-- ARGV: counters' db, new fence, highest number that was issued
-- Answers: fenced NUMBER, invalid VALUE
choose(ARGV[1])
local value, wrong = read_counter(KEYS[1])
if not value then return {'invalid', wrong} end
local last = redis.call('HGET', KEYS[2], 'last')
local base = larger(value, ARGV[3])
if is_count(last) then base = larger(base, last) end
redis.call('SET', KEYS[1], base)
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'incarnation', incarnation(), 'fence', ARGV[2], 'last', base)
return {'fenced', base}
