-- What every script begins with. ARGV[1] is the queue's max_deliveries.
local ready, delayed, taken, held, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local max_deliveries = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Before a script that moves messages: removes nothing from each key. One of another kind fails here, before anything is
-- moved; and a script that has removed may add even where memory is short, so that a full server can be emptied.
local function begin()
  redis.call('LTRIM', ready, 0, -1)
  redis.call('LTRIM', dead, 0, -1)
  redis.call('ZREM', delayed, '')
  redis.call('ZREM', taken, '')
  redis.call('HDEL', held, '')
end

local function exact(number)
  return string.format('%.0f', number)
end

-- A message as layout.py has it. What was not sealed by us came from another program and has no id.
local function unseal(element, id)
  local named, published, expires, deliveries, foreign, reason, body =
    string.match(element, '^\30([^\30\31]+)\31(%d+)\31(%d+)\31(%d+)\31([01])\31([^\30\31]*)\30()')
  if not named then
    return {id = id, published = '0', expires = '0', deliveries = 0, foreign = '1', reason = '', body = element}
  end
  return {
    id = named, published = published, expires = expires, deliveries = tonumber(deliveries), foreign = foreign,
    reason = reason, body = string.sub(element, body),
  }
end

local function seal(message)
  local head = {
    message.id, message.published, message.expires, exact(message.deliveries), message.foreign, message.reason,
  }
  return '\30' .. table.concat(head, '\31') .. '\30' .. message.body
end

-- An empty reason stands for: delivered too often.
local function bury(message, reason)
  message.reason = reason
  redis.call('RPUSH', dead, seal(message))
end

local function back_or_dead(element, receipt)
  local message = unseal(element, receipt)
  if message.deliveries >= max_deliveries then
    bury(message, '')
  else
    redis.call('LPUSH', ready, element)
  end
end

-- Out of the set, and out of the hash; nil where somebody has deleted it by hand.
local function release(set, receipt)
  if redis.call('ZREM', set, receipt) == 0 then
    return nil
  end
  local element = redis.call('HGET', held, receipt)
  redis.call('HDEL', held, receipt)
  return element or nil
end

-- Let come back what is due, a hundred at once: whoever calls next does the rest.
local function settle()
  for _, receipt in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', exact(now), 'LIMIT', 0, 100)) do
    local element = release(delayed, receipt)
    if element then
      redis.call('RPUSH', ready, element)
    end
  end
  local late = redis.call('ZRANGEBYSCORE', taken, '-inf', exact(now), 'LIMIT', 0, 100)
  for i = #late, 1, -1 do -- so that the first of them is the first again
    local element = release(taken, late[i])
    if element then
      back_or_dead(element, late[i])
    end
  end
end

local function expired(message)
  return message.deliveries == 0 and message.expires ~= '0' and tonumber(message.expires) <= now
end

-- Drop what nobody received in time; the oldest are at the head.
local function drop_expired()
  for _ = 1, 1000 do
    local element = redis.call('LINDEX', ready, 0)
    if not element or not expired(unseal(element, '')) then
      return
    end
    redis.call('LPOP', ready)
  end
end
