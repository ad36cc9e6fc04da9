-- What several scripts share; it stands before each of them.

-- Numbers are decimal text here: Lua's own are exact only up to 2^53, counters count to 2^63-1.

local LARGEST = '9223372036854775807'

-- Whether `text` is a number as INCR would write it, 0 or above, and fits 64 bits.
local function is_count(text)
  if type(text) ~= 'string' or not (text == '0' or string.find(text, '^[1-9]%d*$')) then return false end
  return #text < #LARGEST or (#text == #LARGEST and text <= LARGEST)
end

local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function larger(a, b)
  if less(a, b) then return b end
  return a
end

local function successor(text)
  local position = #text
  while position > 0 and string.sub(text, position, position) == '9' do position = position - 1 end
  local zeros = string.rep('0', #text - position)
  if position == 0 then return '1' .. zeros end
  local digit = tonumber(string.sub(text, position, position)) + 1
  return string.sub(text, 1, position - 1) .. digit .. zeros
end

-- A cluster has one database only, and knows no SELECT: its number is given as -1.
local function choose(db)
  if db ~= '-1' then redis.call('SELECT', db) end
end

-- The values of string keys, false where there is none or another type's. One MGET is several times as fast as as many
-- GETs; a cluster refuses it for keys of several slots.
local function read_all(names, clustered)
  if #names == 0 then return {} end
  if not clustered then return redis.call('MGET', unpack(names)) end
  local values = {}
  for position, name in ipairs(names) do
    local value = redis.pcall('GET', name)
    values[position] = type(value) == 'string' and value
  end
  return values
end

-- The counter's value, '0' where there is none, and nil, reason where it can't be counted on.
local function read_counter(key)
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'string' and kind ~= 'none' then return nil, kind end
  local value = redis.call('GET', key)
  if not value then return '0' end
  if not is_count(value) then return nil, value end
  return value
end

-- Which life of which server this is. It changes with every restart and every promotion of a replica, the two
-- occasions on which a counter may come back lower than it was.
local function incarnation()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  return run .. '/' .. replication
end
