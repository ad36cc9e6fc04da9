-- Takes a session out of Redis where it still is what the caller has copied: record, history, places in indexes.
-- KEYS: record, history, index …
-- ARGV: ID, SHA-1 of the record, SHA-1 of the history's entries one after the other, each behind its length
-- Answers: gone, absent, changed
local record = redis.call('GET', KEYS[1])
if not record then return 'absent' end
if redis.sha1hex(record) ~= ARGV[2] then return 'changed' end
local entries = {}
for position, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do entries[position] = #entry .. ':' .. entry end
if redis.sha1hex(table.concat(entries)) ~= ARGV[3] then return 'changed' end
redis.call('DEL', KEYS[1], KEYS[2])
for position = 3, #KEYS do redis.call('SREM', KEYS[position], ARGV[1]) end
return 'gone'
