-- Puts a session back where there is none of its ID: record, history, places in indexes. All of it or nothing.
-- KEYS: record, history, index …
-- ARGV: ID, record, entries of the history …
-- Answers: restored, same (it is there already, exactly so), different (something else is there)
local record = redis.call('GET', KEYS[1])
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
if record or #entries > 0 then
  if record ~= ARGV[2] or #entries ~= #ARGV - 2 then return 'different' end
  for position, entry in ipairs(entries) do
    if entry ~= ARGV[position + 2] then return 'different' end
  end
  return 'same'
end
redis.call('SET', KEYS[1], ARGV[2])
for position = 3, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[position]) end
for position = 3, #KEYS do redis.call('SADD', KEYS[position], ARGV[1]) end
return 'restored'
