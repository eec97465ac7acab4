"""`scheduler cron add` with what no one should be able to hurt us with."""

from time import process_time

from tests.cli.conftest import Command, Sql
from tests.rules import hostile

SECONDS = 1.0
"""Of CPU, for the whole command; the expression itself is refused in well under a millisecond a kilobyte."""


def test_every_hostile_expression_and_zone_is_refused_in_a_sentence(online: Command, sql: Sql) -> None:
    for expression, zone in [*((e, "UTC") for e in hostile.EXPRESSIONS), *(("@daily", z) for z in hostile.ZONES)]:
        began = process_time()
        code, out, err = online("cron", "add", "bad", "--tz", zone, "--", expression, "email")
        assert process_time() - began < SECONDS, expression[:80]
        assert (code, out) == (2, ""), expression[:80]
        assert err.startswith("error: "), expression[:80]
        assert err.count("\n") == 1, err[:80]
        assert len(err) < 700, err[:80]
    assert sql("SELECT count(*) FROM cron_jobs") == [(0,)]
