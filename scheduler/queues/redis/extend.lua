-- ARGV: max_deliveries, visibility, receipts.
begin()
local visibility = tonumber(ARGV[2])
for i = 3, #ARGV do
  redis.call('ZADD', taken, 'XX', exact(now + visibility), ARGV[i])
end
return 0
