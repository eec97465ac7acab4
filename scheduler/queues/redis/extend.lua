-- ARGV: max_deliveries, visibility, receipts.
local visibility = tonumber(ARGV[2])
for i = 3, #ARGV do
  if redis.call('ZREM', taken, ARGV[i]) == 1 then
    redis.call('ZADD', taken, exact(now + visibility), ARGV[i])
  end
end
return 0
