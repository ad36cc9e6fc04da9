-- Raises a counter to a number, never lowers it, and takes a time limit off it.
-- KEYS: counter, guard
-- ARGV: counters' db, number, '1' to replace a text that is no count
-- Answers: raised FROM TO, kept VALUE, invalid VALUE; FROM is '' where there was no counter
choose(ARGV[1])
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'string' and kind ~= 'none' then return {'invalid', kind} end
local value = redis.call('GET', KEYS[1])
if value and not is_count(value) and ARGV[3] ~= '1' then return {'invalid', value} end

local last = redis.call('HGET', KEYS[2], 'last')
if is_count(last) and less(last, ARGV[2]) then redis.call('HSET', KEYS[2], 'last', ARGV[2]) end
if value and is_count(value) and not less(value, ARGV[2]) then
  redis.call('PERSIST', KEYS[1])
  return {'kept', value}
end
redis.call('SET', KEYS[1], ARGV[2])
return {'raised', value or '', ARGV[2]}
