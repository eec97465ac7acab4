-- ARGV: max_deliveries, limit, visibility, what the receipts begin with.
-- The microseconds until something comes back by itself, or -1; then receipt and message, one after the other.
local limit, visibility, prefix = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local LARGE = 8388608 -- bytes in one answer, about

begin()
settle()
local answer, bytes = {-1}, 0
while #answer <= 2 * limit and bytes < LARGE do
  local element = redis.call('LPOP', ready)
  if not element then
    break
  end
  local receipt = prefix .. '-' .. #answer
  local message = unseal(element, receipt)
  if not expired(message) then
    message.deliveries = message.deliveries + 1
    element = seal(message)
    redis.call('HSET', held, receipt, element)
    redis.call('ZADD', taken, exact(now + visibility), receipt)
    answer[#answer + 1] = receipt
    answer[#answer + 1] = element
    bytes = bytes + #element
  end
end

for _, set in ipairs({delayed, taken}) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[2] then
    local pause = math.max(tonumber(first[2]) - now, 0)
    answer[1] = answer[1] < 0 and pause or math.min(answer[1], pause)
  end
end
return answer
