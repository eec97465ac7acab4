-- ARGV: max_deliveries, receipts.
for i = 2, #ARGV do
  release(taken, ARGV[i])
end
return 0
