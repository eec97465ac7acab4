"""Whether dead rows go away: autovacuum, who holds it back, and how far transaction ids have gone."""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.finding import Code, Finding, literal
from scheduler.operations.words import count_of, span
from scheduler.store.statements import quote

_TABLES = ["cron_jobs", "job_executions", "job_messages", "job_queues", "job_transactions", "job_workers"]
_MANY_DEAD = 50_000
_IDLE_SECONDS, _BUSY_SECONDS, _LONG_SECONDS = 300, 3_600, 3_600
_FAR_BEHIND = 1_000_000
_OLD, _TOO_OLD = 1_000_000_000, 1_800_000_000
_WRAPAROUND = 2**31


def autovacuum(bench: Bench) -> Iterator[Finding]:
    """It is on, for the server and for our tables."""
    server, tables = bench.server, _tables(bench)
    off = [row["name"] for row in tables if not row["autovacuum"]]
    if not server["autovacuum"] or not server["track_counts"]:
        name = "track_counts" if server["autovacuum"] else "autovacuum"
        yield Finding.error(
            Code.AUTOVACUUM,
            f"{name} is off on this server: dead rows are never removed, and claims get slower by the hour.",
            "Turn it on.",
            [f"ALTER SYSTEM SET {name} = on;", "SELECT pg_reload_conf();"],
        )
    elif off:
        yield Finding.warning(
            Code.AUTOVACUUM,
            f"Autovacuum is off for {', '.join(off)}.",
            "Turn it on again.",
            [f"ALTER TABLE {bench.table(name)} RESET (autovacuum_enabled);" for name in off],
        )
    else:
        yield Finding.fine(Code.AUTOVACUUM, "Autovacuum is on for every table of the scheduler.")


def dead_rows(bench: Bench) -> Iterator[Finding]:
    """No table of ours is mostly dead rows."""
    crowded = [row for row in _tables(bench) if row["dead"] > _MANY_DEAD and row["dead"] > row["live"] * 0.2]
    for row in crowded:
        since = row["vacuumed_for"]
        last = f"last vacuumed {span(since)} ago" if since is not None else "never vacuumed"
        yield Finding.warning(
            Code.DEAD_ROWS,
            f"{row['name']} holds {row['dead']:,} dead rows beside {row['live']:,} live ones; {last}.",
            "Vacuum it; if that removes nothing, an old transaction holds it back.",
            [f"VACUUM (VERBOSE, ANALYZE) {bench.table(row['name'])};"],
        )
    if not crowded:
        yield Finding.fine(Code.DEAD_ROWS, "Dead rows are few.")


def oldest_transaction(bench: Bench) -> Iterator[Finding]:
    """Nobody keeps vacuum from removing dead rows."""
    holders = bench.ask("doctor_horizon", idle_seconds=_IDLE_SECONDS, busy_seconds=_BUSY_SECONDS, xids=_FAR_BEHIND)
    yield from (_HOLDERS[row["kind"]](row) for row in holders)
    if not bench.server["sees_sessions"]:
        role = bench.server["role"]
        yield Finding.unchecked(
            Code.OLDEST_TRANSACTION,
            f'Role "{role}" may not see what sessions of other roles do.',
            "Let it look, if you want this checked.",
            [f"GRANT pg_read_all_stats TO {quote(role)};"],
        )
    elif not holders:
        yield Finding.fine(Code.OLDEST_TRANSACTION, "No old transaction, slot or standby holds vacuum back.")


def transaction_ids(bench: Bench) -> Iterator[Finding]:
    """The database is far from running out of transaction ids."""
    ages = bench.one("doctor_ages")
    age = max(ages["xids"], ages["multixacts"])
    used = f"{age / _WRAPAROUND:.0%} of the transaction ids are used up"
    if age < _OLD:
        yield Finding.fine(Code.TRANSACTION_IDS, f"{used}.")
        return
    level = Finding.error if age > _TOO_OLD else Finding.warning
    yield level(
        Code.TRANSACTION_IDS,
        f"{used}: at 100 % the server takes no writes. Autovacuum does not keep up, or something holds it back.",
        "End what `oldest-transaction` names, then vacuum the whole database as its owner.",
        ["VACUUM (FREEZE);"],
    )


def _session(row: Mapping[str, Any]) -> Finding:
    name = row["application"] or "a session"
    what = "has been idle in a transaction" if "idle" in row["state"] else "has worked on one transaction"
    held = f", and vacuum may not remove what died in the last {row['xids']:,} transactions" if row["xids"] else ""
    level = Finding.error if row["age"] > _LONG_SECONDS and row["xids"] > _FAR_BEHIND else Finding.warning
    return level(
        Code.OLDEST_TRANSACTION,
        f"{name} (role {row['role']}, pid {row['name']}) {what} for {span(row['age'])}{held}.",
        "Let it commit, or end it; idle_in_transaction_session_timeout keeps it from happening again.",
        [f"SELECT pg_terminate_backend({row['name']});"],
    )


def _slot(row: Mapping[str, Any]) -> Finding:
    active = row["state"] == "active"
    return Finding.warning(
        Code.OLDEST_TRANSACTION,
        f"The replication slot {row['name']} ({row['state']}) keeps vacuum from removing what died in the last "
        f"{count_of(row['xids'], 'transaction')}.",
        "See to the consumer that lags behind." if active else "Start its consumer, or drop it if nobody needs it.",
        [] if active else [f"SELECT pg_drop_replication_slot({literal(row['name'])});"],
    )


def _standby(row: Mapping[str, Any]) -> Finding:
    return Finding.warning(
        Code.OLDEST_TRANSACTION,
        f"The standby {row['application']} (hot_standby_feedback) keeps vacuum from removing what died in the last "
        f"{row['xids']:,} transactions.",
        "End the long query there, or turn hot_standby_feedback off on it.",
    )


_HOLDERS = {"session": _session, "slot": _slot, "standby": _standby}


def _tables(bench: Bench) -> list[dict[str, Any]]:
    return bench.ask("doctor_tables", schema=bench.facts.schema, tables=_TABLES)
