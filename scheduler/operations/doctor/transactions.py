"""Transactions over several databases: whether each can prepare, and what somebody prepared and left."""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.database.decisions import whole
from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.facts import Place
from scheduler.operations.doctor.finding import Code, Finding, literal
from scheduler.operations.words import span
from scheduler.store.asking import ask

_ORPHANED_SECONDS = 300


def prepared_setting(bench: Bench) -> Iterator[Finding]:
    """Each database of a two-phase commit may prepare as many transactions as workers run at once."""
    participants = [place for place in bench.places if place.two_phase and place is not bench.facts.job]
    if not participants:
        yield Finding.fine(Code.PREPARED_SETTING, "No database takes part in two-phase commits.")
        return
    for place in participants:
        with bench.elsewhere(place.conninfo) as session:
            (room,) = ask(session, "doctor_prepared_room")
        yield _room(bench, place, room["most"])


def prepared_orphans(bench: Bench) -> Iterator[Finding]:
    """Nothing that was prepared minutes ago waits for its end: it keeps its locks, and vacuum from cleaning up."""
    found = False
    for place in bench.places:
        with bench.elsewhere(place.conninfo) as session:
            orphans = ask(session, "doctor_prepared", seconds=_ORPHANED_SECONDS)
        decisions = _decisions(bench, [whole(row["gid"]) for row in orphans if row["ours"]])
        for row in orphans:
            found = True
            yield _orphan(bench, row, decisions)
    if not found:
        yield Finding.fine(Code.PREPARED_ORPHANS, "No prepared transaction was left behind.")


def _room(bench: Bench, place: Place, most: int) -> Finding:
    wanted = max(bench.facts.pool_size, sum(process.pool_size for process in bench.alive))
    sql = [f"ALTER SYSTEM SET max_prepared_transactions = {max(64, 2 * wanted)};  -- then restart that server"]
    if most == 0:
        return Finding.warning(
            Code.PREPARED_SETTING,
            f"databases.{place.name} can't prepare transactions (max_prepared_transactions = 0): "
            "no transaction over it and another database can be atomic.",
            f"Raise it on that server, or set databases.{place.name}.atomicity: best_effort.",
            sql,
        )
    if most < wanted:
        return Finding.warning(
            Code.PREPARED_SETTING,
            f"databases.{place.name} may hold {most} prepared transactions, and workers run {wanted} at once.",
            "Raise max_prepared_transactions on that server.",
            sql,
        )
    return Finding.fine(Code.PREPARED_SETTING, f"databases.{place.name} may prepare {most} transactions.")


def _decisions(bench: Bench, gids: list[str]) -> Mapping[str, str]:
    if not gids or not bench.has_tables:
        return {}
    return {row["gid"]: row["decision"] for row in bench.ask("doctor_decisions", gids=gids)}


def _orphan(bench: Bench, row: Mapping[str, Any], decisions: Mapping[str, str]) -> Finding:
    gid, ours = row["gid"], row["ours"]
    where = f'in database "{row["database"]}", as role "{row["owner"]}" or a superuser'
    says = f'The transaction {gid} was prepared {span(row["age"])} ago in database "{row["database"]}" and never ended.'
    if not ours:
        return Finding.warning(
            Code.PREPARED_ORPHANS,
            f"{says} It is not the scheduler's.",
            f"Ask whoever made it, then end it, {where}.",
            [f"ROLLBACK PREPARED {literal(gid)};"],
        )
    decision = decisions.get(whole(gid))
    if decision is not None:
        verb = "COMMIT" if decision == "COMMIT" else "ROLLBACK"
        fix = f"Its decision is {decision}. Carry it out {where}."
        return Finding.error(Code.PREPARED_ORPHANS, says, fix, [f"{verb} PREPARED {literal(gid)};"])
    return Finding.error(
        Code.PREPARED_ORPHANS,
        f"{says} Nobody has decided what becomes of it.",
        f"Decide in the job database, so that nobody else decides otherwise; if that adds a row, roll back {where}.",
        [
            f"INSERT INTO {bench.table('job_transactions')} (gid, decision) VALUES ({literal(whole(gid))}, 'ABORT') "
            "ON CONFLICT DO NOTHING;",
            f"ROLLBACK PREPARED {literal(gid)};",
        ],
    )
