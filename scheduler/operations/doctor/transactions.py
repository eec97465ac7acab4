"""Transactions over several databases: whether each can prepare, and what is prepared or decided and not settled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.database import decisions
from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.facts import Place
from scheduler.operations.doctor.finding import Code, Finding, literal
from scheduler.operations.doctor.server import identity
from scheduler.operations.words import count_of, span
from scheduler.store.asking import ask
from scheduler.store.statements import quote

_IN_DOUBT_SECONDS = 60
"""Within these the resolver has settled whatever it can reach."""
_ORPHANED_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A transaction that waits for its end in one database."""

    gid: str
    database: str
    owner: str
    age: float
    """Seconds, by that server's clock."""
    role: str
    """As whom we, and so the resolver, look at it."""
    may_end: bool
    """That role may commit it or roll it back."""

    @property
    def whole(self) -> str:
        return decisions.whole(self.gid)

    @property
    def says(self) -> str:
        return f'The transaction {self.gid} was prepared {span(self.age)} ago in database "{self.database}"'

    @property
    def where(self) -> str:
        return f'in database "{self.database}", as role "{self.owner}" or a superuser'


def prepared_setting(bench: Bench) -> Iterator[Finding]:
    """Each database of a two-phase commit may prepare as many transactions as workers run at once."""
    participants = [place for place in bench.places if place.two_phase and place is not bench.facts.job]
    if not participants:
        yield Finding.fine(Code.PREPARED_SETTING, "No database takes part in two-phase commits.")
        return
    if bench.has_tables and not bench.ask("doctor_installation"):
        yield Finding.error(
            Code.PREPARED_SETTING,
            "The job database has no name of its own, as after a restore without data: nothing over it and another "
            "database commits.",
            "Give it one.",
            [f"INSERT INTO {bench.table('job_installation')} DEFAULT VALUES;"],
        )
    servers = [_server(bench, place) for place in participants]
    wanted = max(bench.facts.pool_size, sum(process.pool_size for process in bench.alive))
    for place, server in zip(participants, servers, strict=True):
        with bench.elsewhere(place.conninfo) as session:
            (row,) = ask(session, "doctor_prepared_room")
        yield _room(place, row["most"], wanted * servers.count(server))


def prepared(bench: Bench) -> Iterator[Finding]:
    """Nothing that was prepared a minute ago waits for its end: it keeps its locks, and vacuum from cleaning up."""
    left = _left(bench)
    prefix = _prefix(bench)
    ours = [each for each in left if prefix is not None and each.gid.startswith(prefix)]
    others = [each for each in left if each not in ours and each.age > _ORPHANED_SECONDS]
    decided = _decisions(bench, [each.whole for each in ours])
    yield from (_ours(bench, each, decided.get(each.whole)) for each in ours)
    yield from (_foreign(each) for each in others)
    if not ours and not others:
        yield Finding.fine(Code.PREPARED_ORPHANS, "No prepared transaction was left behind.")


def undelivered(bench: Bench) -> Iterator[Finding]:
    """Each decision can be told to all who prepared for it, and was."""
    rows = bench.ask("doctor_undelivered", seconds=_IN_DOUBT_SECONDS)
    known = {place.name for place in [bench.facts.job, *bench.facts.others]}
    reached = {place.name for place in bench.places}
    awaited = sorted({name for row in rows for name in row["participants"]} - reached)
    for name in awaited:
        waiting = [row for row in rows if name in row["participants"]]
        yield _beyond_reach(bench, name, waiting) if name in known else _not_configured(bench, name, waiting)
    # What is carried out just before the last worker stops is noted by the next one.
    unnoted = [row for row in rows if bench.alive and reached.issuperset(row["participants"])]
    if unnoted:
        yield Finding.warning(
            Code.IN_DOUBT,
            f"{_decided(unnoted)}, and no resolver has noted that all databases know.",
            _resolver(bench),
            [f"SELECT * FROM {bench.table('job_in_doubt')};"],
        )
    if not awaited and not unnoted:
        yield Finding.fine(Code.IN_DOUBT, "No decision waits for a database that can't be told.")


def _server(bench: Bench, place: Place) -> object:
    """What is equal for two databases that share the room for prepared transactions, as far as we may know."""
    with bench.elsewhere(place.conninfo) as session:
        found = identity(session)
    return place if found is None else found[0]


def _room(place: Place, most: int, wanted: int) -> Finding:
    sql = [f"ALTER SYSTEM SET max_prepared_transactions = {max(64, 2 * wanted)};  -- then restart that server"]
    if most == 0:
        return Finding.error(
            Code.PREPARED_SETTING,
            f"databases.{place.name} can't prepare transactions (max_prepared_transactions = 0): "
            "every transaction over it and another database is refused.",
            f"Raise it on that server, or set databases.{place.name}.atomicity: best_effort.",
            sql,
        )
    if most < wanted:
        return Finding.error(
            Code.PREPARED_SETTING,
            f"databases.{place.name} has room for {count_of(most, 'prepared transaction')} "
            f"(max_prepared_transactions), and workers could need {wanted} at once.",
            "Raise max_prepared_transactions on that server.",
            sql,
        )
    return Finding.fine(Code.PREPARED_SETTING, f"databases.{place.name} has room for {most} prepared transactions.")


def _prefix(bench: Bench) -> str | None:
    """How the names of our transactions begin. None without the tables, or without a name of their own."""
    rows = bench.ask("doctor_installation") if bench.has_tables else []
    return decisions.prefix(rows[0]["id"]) if rows else None


def _left(bench: Bench) -> list[Prepared]:
    """What was prepared in the databases that are reached."""
    found = []
    for place in bench.places:
        with bench.elsewhere(place.conninfo) as session:
            rows = ask(session, "doctor_prepared", seconds=_IN_DOUBT_SECONDS)
        found += [Prepared(**row) for row in rows]
    return found


def _decisions(bench: Bench, gids: Sequence[str]) -> Mapping[str, str]:
    return {row["gid"]: row["decision"] for row in bench.ask("doctor_decisions", gids=list(gids))} if gids else {}


def _ours(bench: Bench, each: Prepared, decision: str | None) -> Finding:
    says = f"{each.says}; " + (f"its decision is {decision}" if decision else "nobody has decided what becomes of it")
    by_hand = "" if decision else "the first statement in the job database, and only if it adds a row, the rest "
    end = _ending(bench, each, decision)
    if not each.may_end:
        return Finding.error(
            Code.PREPARED_ROLE,
            f'{says}. Role "{each.role}", as which the resolver looks there, may not end what "{each.owner}" prepared.',
            "Let `scheduler run` and whoever opens such transactions use one role there. End this one by hand: "
            f'{by_hand}in database "{each.database}", as a superuser or a member of "{each.owner}".',
            [*end[:-1], f"SET ROLE {quote(each.owner)};", end[-1], "RESET ROLE;"],
        )
    if each.age > _ORPHANED_SECONDS:
        return Finding.error(
            Code.PREPARED_ORPHANS, f"{says}.", f"{_resolver(bench)} By hand: {by_hand}{each.where}.", end
        )
    return Finding.warning(
        Code.IN_DOUBT,
        f"{says}. Its rows stay locked until it is ended.",
        _resolver(bench),
        ["SELECT * FROM pg_prepared_xacts;"],
    )


def _ending(bench: Bench, each: Prepared, decision: str | None) -> list[str]:
    """The statements that end it, the last one in its own database, those before in the job database."""
    if decision == "COMMIT":
        return [f"COMMIT PREPARED {literal(each.gid)};"]
    abort = (
        f"INSERT INTO {bench.table('job_transactions')} (gid, decision) VALUES ({literal(each.whole)}, 'ABORT') "
        "ON CONFLICT DO NOTHING;"
    )
    return [*([] if decision else [abort]), f"ROLLBACK PREPARED {literal(each.gid)};"]


def _foreign(each: Prepared) -> Finding:
    """Somebody else decides about it, so that this only tells of it."""
    if each.gid.startswith(f"{decisions.PREFIX}:"):
        return Finding.warning(
            Code.PREPARED_FOREIGN,
            f'{each.says}, as role "{each.owner}", by a scheduler whose tables are not in this job database.',
            "Leave it to that one's resolver: it needs `scheduler run` there. In its job database this tells what was "
            "decided:",
            [f"SELECT decision FROM job_transactions WHERE gid = {literal(each.whole)};"],
        )
    return Finding.warning(
        Code.PREPARED_FOREIGN,
        f'{each.says}, as role "{each.owner}". It is not the scheduler\'s, which never touches it.',
        f"Ask whoever made it whether it is to be committed; if nobody wants it, end it, {each.where}.",
        [f"ROLLBACK PREPARED {literal(each.gid)};"],
    )


def _beyond_reach(bench: Bench, name: str, rows: Sequence[Mapping[str, Any]]) -> Finding:
    return Finding.warning(
        Code.IN_DOUBT,
        f"{_decided(rows)}, and databases.{name}, which can't be reached, may not know: what they wrote there is "
        "locked until it does.",
        "Nothing is lost: the resolver tells it as soon as it is back. See to that database.",
        [f"SELECT * FROM {bench.table('job_in_doubt')};"],
    )


def _not_configured(bench: Bench, name: str, rows: Sequence[Mapping[str, Any]]) -> Finding:
    table, gone = bench.table("job_transactions"), literal(name)
    return Finding.warning(
        Code.IN_DOUBT,
        f"{_decided(rows)}, and a database {name!r}, which these settings don't name, may not know.",
        f"Name it again as databases.{name} until they are settled. If it is gone for good, wait for it no longer, "
        "as the owner of the tables.",
        [
            f"UPDATE {table} SET participants = array_remove(participants, {gone}), "
            f"settled_at = CASE WHEN participants = ARRAY[{gone}] THEN {bench.table('job_now')}() END "
            f"WHERE settled_at IS NULL AND {gone} = ANY(participants);"
        ],
    )


def _decided(rows: Sequence[Mapping[str, Any]]) -> str:
    oldest = span(max(row["age"] for row in rows))
    if len(rows) == 1:
        return f"A transaction was decided {oldest} ago"
    return f"{len(rows):,} transactions are decided, the first {oldest} ago"


def _resolver(bench: Bench) -> str:
    if not bench.alive:
        return "Start `scheduler run`, whose resolver settles it."
    return "The resolver of `scheduler run` is to settle it; its log tells what keeps it from that."
