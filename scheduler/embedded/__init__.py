"""A real PostgreSQL of the project's own, started by whoever needs it first and gone when nobody does.

    user process ──┐  shared lock on users.lock, for its life
    user process ──┼─────────────┐
    user process ──┘             ▼
       │ the first launches   supervisor ── parent of ──▶ postgres ──▶ unix socket in a private folder
       └────────────────────▶ (detached)     restarts it when it crashes, stops it when users.lock is free

Every fact about who is alive is a file lock, which the kernel drops when its holder ends, SIGKILL included; no pid is
ever trusted. Four of them lie in the folder:

    start.lock        held while one process joins, starts or stops the server; handed down to a starting supervisor
    users.lock        shared by all users; the supervisor stops the server when it gets it alone
    supervisor.lock   held by the supervisor
    postgres.lock     inherited by every PostgreSQL process, so that no second server starts beside a dying one

The data is `pg<major>` in the folder. Where root can't hide from PostgreSQL in a user namespace, the server runs as
`nobody`, and `pg<major>` is a link to its data under /var/lib/scheduler.

Environment: `SCHEDULER_PG_BIN` names the folder of the server's programs; `SCHEDULER_PG_USERNS=off` makes root run it
as `nobody` even where user namespaces work.
"""

from scheduler.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
