-- One step through some users' indexes: the sessions in them whose record names somebody else, or is gone.
-- ARGV: members a step, start and end of the keys of records, then for each index: key, prefix of the records' keys
--       (a cluster's), user, cursor
-- Answers: [next cursor of each index], [position of the index, ID, owner …]; the owner is '' where there is no
-- record. Guests of a shared session are let pass.
local function is_guest(record, user)
  if type(record['allowed_users']) ~= 'table' then return false end
  for _, guest in ipairs(record['allowed_users']) do
    if guest == user then return true end
  end
  return false
end

local function owner_of(record, user)
  local decoded, value = pcall(cjson.decode, record)
  if not decoded or type(value) ~= 'table' then return '' end
  if is_guest(value, user) then return user end
  return tostring(value['user_id'])
end

-- Whether every record of a small index names its user, by one SORT that fetches them all; false where that can't be
-- told so (the server may refuse it, as a cluster does).
local function all_own(key, pattern, usual)
  local records = redis.pcall('SORT', key, 'BY', 'nosort', 'GET', pattern)
  if records['err'] then return false end
  for _, record in ipairs(records) do
    if not record or not string.find(record, usual, 1, true) then return false end
  end
  return true
end

local cursors, found = {}, {}
for first = 4, #ARGV, 4 do
  local key, prefix, user = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local position = (first - 4) / 4
  -- What chatctl and Python's json write: nearly every record is settled without being decoded.
  local usual = '"user_id": "' .. user .. '"'
  local step = {'0', {}}
  local is_set = redis.call('TYPE', key)['ok'] == 'set'
  local is_small = is_set and redis.call('SCARD', key) <= tonumber(ARGV[1])
  if is_set and not (is_small and all_own(key, prefix .. ARGV[2] .. '*' .. ARGV[3], usual)) then
    step = redis.call('SSCAN', key, ARGV[first + 3], 'COUNT', ARGV[1])
  end
  cursors[#cursors + 1] = step[1]
  for _, id in ipairs(step[2]) do
    local record = redis.pcall('GET', prefix .. ARGV[2] .. id .. ARGV[3])
    local owner = ''
    if type(record) == 'string' then
      owner = user
      if not string.find(record, usual, 1, true) then owner = owner_of(record, user) end
    end
    if owner ~= user then
      found[#found + 1] = position
      found[#found + 1] = id
      found[#found + 1] = owner
    end
  end
end
return {cursors, found}
