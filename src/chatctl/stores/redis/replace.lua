-- Writes a record where it still is what the caller read; its time limit stays.
-- KEYS: record
-- ARGV: what was read, what to write
-- Answers: 1, or 0 where it has changed
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
