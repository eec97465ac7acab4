-- ARGV: max_deliveries, how, delay, reason, receipts. How: 'back', 'dead' for the reason, or 'unseen': as if never taken.
local how, delay, reason = ARGV[2], tonumber(ARGV[3]), ARGV[4]

begin()
for i = #ARGV, 5, -1 do -- so that the first of them is the first again
  local receipt = ARGV[i]
  local element = release(taken, receipt)
  if element then
    local message = unseal(element, receipt)
    if how == 'unseen' then
      message.deliveries = message.deliveries - 1
      redis.call('LPUSH', ready, seal(message))
    elseif how == 'dead' then
      bury(message, reason)
    elseif delay > 0 and message.deliveries < max_deliveries then
      redis.call('HSET', held, receipt, element)
      redis.call('ZADD', delayed, exact(now + delay), receipt)
    else
      back_or_dead(element, receipt)
    end
  end
end
return 0
