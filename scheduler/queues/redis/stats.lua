-- ARGV: max_deliveries. How many wait, are delayed, in flight and dead.
begin()
settle()
drop_expired()
return {
  redis.call('LLEN', ready), redis.call('ZCARD', delayed), redis.call('ZCARD', taken), redis.call('LLEN', dead),
}
