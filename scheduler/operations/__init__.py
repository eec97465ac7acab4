"""What a person can do and see, by whichever face. Functions take a session and plain values, and return frozen ones.

cron_jobs    add, list, and the next tick of each        preview     the ticks of an expression, without a database
cron_job_page     everything about one                   explanation what an expression means
cron_job_changes  edit, pause, resume, remove, run       backfill, skip   ticks of the past, ticks to come
executions   enqueue, show                               overview    what comes next, and who works
search       find executions among millions              bulk        cancel, retry
waiting      for executions to end                       queues      list, pause, resume
declared     cron jobs that settings and handlers declare, beside their rows; differences, declared_at_start
tokens       who may use the HTTP API                requests    enqueue at most once
audit        who did what                            health      whether work gets on
migration    the tables themselves                       roles       who may do what with them
                                                         new_project  its files, its first cron job
doctor       what is wrong, and what to do about it        words       counts, spans of time, lists
"""
