"""What a person can do and see, by whichever face. Functions take a session and plain values, and return frozen ones.

cron_jobs    add, list, and the next tick of each        preview     the ticks of an expression, without a database
executions   enqueue, list, show                         overview    what comes next, and who works
migration    the tables themselves
"""
