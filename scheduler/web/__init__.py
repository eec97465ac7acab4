"""The HTTP API: it parses and renders; operations act.

server ── app ── guard      every request: its host, size, origin and token, before anything reads it
           │     routes/    executions, cron_jobs, queues, calls, schedules, streams, system
           ├──── desk       operations, each in a thread with a session of its own, so many at once
           ├──── veil       what a role may see of params, results and errors
           ├──── pages      cursors
           ├──── kept       what costs something and many ask for
           └──── problems   errors as application/problem+json, openapi says so
"""
