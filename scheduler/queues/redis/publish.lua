-- ARGV: max_deliveries, id, body, delay, ttl or -1, max_length or -1, receipt. 1: it is in. 0: the queue is full.
local id, body, delay, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local max_length, receipt = tonumber(ARGV[6]), ARGV[7]

local function full()
  return redis.call('LLEN', ready) + redis.call('ZCARD', delayed) >= max_length
end

if max_length >= 0 and full() then
  drop_expired()
  if full() then
    return 0
  end
end

local available = now + delay
local message = {
  id = id, published = exact(now), expires = ttl < 0 and '0' or exact(available + ttl), deliveries = 0, foreign = '0',
  reason = '', body = body,
}
if delay > 0 then
  redis.call('HSET', held, receipt, seal(message))
  redis.call('ZADD', delayed, exact(available), receipt)
else
  redis.call('RPUSH', ready, seal(message))
end
return 1
