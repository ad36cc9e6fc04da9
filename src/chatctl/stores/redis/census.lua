-- One step of a scan over the chats' database: the highest number of each scope, and what is wrong with records.
-- ARGV: cursor, keys a step, prefix of every key (a pattern, '' but on a cluster),
--       patterns of the keys of numbered records, of records, of numbered histories, then start and inside of each family of indexes
-- Answers: next cursor, [scope, number …], [key, ID in the record …], [key of another type …],
--          [index key, members …], records
local wrong, types, indexes, highest = {}, {}, {}, {}
local names, usual = {}, {}

-- Whether the key may be an index; the caller takes its name apart.
local function resembles(name, first, inside)
  return string.sub(name, 1, #first) == first and string.find(name, inside, #first + 1, true) ~= nil
end

local function note(scope, digits)
  if #digits < 6 or #digits > #LARGEST then return end
  if #digits > 6 and string.sub(digits, 1, 1) == '0' then return end
  local seen = highest[scope]
  if not seen or less(seen, digits) then highest[scope] = digits end
end

local step = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
for _, key in ipairs(step[2]) do
  local name = key
  if ARGV[3] ~= '' then name = string.match(key, ARGV[3]) or '' end
  local scope, digits = string.match(name, ARGV[4])
  if scope then
    note(scope, digits)
    names[#names + 1] = key
    -- What chatctl and Python's json write: nearly every record is settled by finding this in it.
    usual[#names] = '"chat_id": "' .. scope .. '-' .. digits .. '"'
  else
    local id = string.match(name, ARGV[5])
    scope, digits = string.match(name, ARGV[6])
    if id then
      names[#names + 1] = key
      usual[#names] = '"chat_id": "' .. id .. '"'
    elseif scope then
      note(scope, digits)
    else
      for family = 7, #ARGV, 2 do
        if resembles(name, ARGV[family], ARGV[family + 1]) then
          local members = redis.pcall('SCARD', key)
          indexes[#indexes + 1] = key
          indexes[#indexes + 1] = type(members) == 'number' and members or 0
          break
        end
      end
    end
  end
end

for position, record in ipairs(read_all(names, ARGV[3] ~= '')) do
  if not record then
    local kind = redis.call('TYPE', names[position])['ok']
    if kind ~= 'none' then types[#types + 1] = names[position] end
  elseif not string.find(record, usual[position], 1, true) then
    local expected = string.match(usual[position], '([^"]*)"$')
    local inside = string.match(record, '"chat_id"%s*:%s*"([^"\\]*)"')
    if inside and inside ~= expected then
      wrong[#wrong + 1] = names[position]
      wrong[#wrong + 1] = inside
    end
  end
end

local flat = {}
for scope, digits in pairs(highest) do
  flat[#flat + 1] = scope
  flat[#flat + 1] = digits
end
return {step[1], flat, wrong, types, indexes, #names}
