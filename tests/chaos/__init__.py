"""Everything at once: real processes, a mixed load, faults by a seeded schedule, and a judge who knows nothing of them.

schedule  what goes wrong when: a pure function of the seed
stage     the server, its databases, and the processes, each behind a proxy of its own
faults    how each kind is done to the stage, and how one sees that it took effect
workload  the handlers' cron jobs and rows, and an operator who cancels, retries and pauses
checker   what must hold of the tables that are left
run       one performance: the load, the faults, the settling, the verdict
"""
