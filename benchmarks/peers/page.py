"""docs/benchmarks.md and its chart."""

import argparse
import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

import psycopg

from benchmarks.peers.catalogue import OURS, REFERENCE, Peer
from benchmarks.peers.measure import Drain, Latency

__all__ = ["REFERENCE", "Row", "context", "on", "table", "version_of", "write"]

_WIDTH, _BAR, _GAP, _LEFT, _RIGHT = 760, 22, 10, 150, 90
_COLOURS = {REFERENCE: "#9aa4b2", OURS: "#2563eb"}
_OTHER = "#c7d2e3"
_WHY_QUICKER = (
    "- Why: a claim here also looks at the lease of the worker, at limits and pauses of the queue, and at rows whose "
    "key may come first; and Python takes longer than node to hear of a NOTIFY and to send a statement, as the "
    "reference loop shows."
)


@dataclass(frozen=True, slots=True)
class Row:
    peer: Peer
    drain: Drain
    latency: Latency | None


def version_of(admin: str) -> str:
    with psycopg.connect(admin) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "?"


def on(store: Literal["postgres", "redis"], rows: list[Row]) -> list[Row]:
    return _fastest_first([row for row in rows if row.peer.store == store])


def table(rows: list[Row]) -> str:
    """Those on Postgres."""
    head = [
        "| | jobs/s | beside the reference loop | CPU µs per job, Postgres + worker | WAL bytes per job "
        "| bulk enqueue/s | pick-up p50 / p99 ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    limit = next((row.drain for row in rows if row.peer.name == REFERENCE), None)
    return "\n".join([*head, *(_line(row, limit) for row in on("postgres", rows))])


def context(rows: list[Row]) -> str:
    """Those on Redis."""
    head = [
        "| | jobs/s | CPU µs per job, Redis + worker | bulk enqueue/s | pick-up p50 / p99 ms |",
        "|---|--:|--:|--:|--:|",
    ]
    return "\n".join([*head, *(_context_line(row) for row in on("redis", rows))])


def write(path: Path, rows: list[Row], versions: str, redis: str, options: argparse.Namespace) -> None:
    """The page, and beside it the chart it shows. `versions`: of what they run on; `redis`: those for context."""
    chart = path.with_suffix(".svg")
    compared = on("postgres", rows)
    chart.write_text(_chart(compared))
    ours = next((row for row in rows if row.peer.name == OURS), None)
    path.write_text(
        "\n".join(
            [
                "# Side by side with other job queues",
                "",
                f"A backlog of no-op jobs, worked off by one worker process: {options.jobs:,} jobs (fewer for the "
                f"slow ones), median of {options.rounds} rounds in which all took turns, {versions}, with "
                f"fsync and `synchronous_commit` on, {os.cpu_count()} cores shared by Postgres and worker. The "
                "reference loop is a bare Python loop that claims durably, records durably and keeps each row; "
                "nothing in Python that does so can be much faster.",
                "",
                f"![Jobs a second]({chart.name})",
                "",
                table(rows),
                "",
                *_ahead(compared, ours),
                *_context(rows, redis),
                "## How each was set up",
                "",
                "| | version | configuration | what is left of a finished job |",
                "|---|---|---|---|",
                *(_setup(row.peer) for row in rows),
                "",
                "`./dev bench --peers` installs them all into environments of their own and writes this page anew; "
                "`--python` says under which interpreter. Absolute figures move with the machine and with what runs "
                "beside it: compare ratios, and CPU time per job.",
                "",
            ]
        )
    )


def _fastest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row.drain.jobs_per_second)


def _line(row: Row, limit: Drain | None) -> str:
    ratio = f"{row.drain.jobs_per_second / limit.jobs_per_second:.2f}" if limit else "–"
    name = f"**{row.peer.name}**" if row.peer.name == OURS else row.peer.name
    drain = row.drain
    return (
        f"| {name} | {drain.jobs_per_second:,.0f} | {ratio} | {drain.store_us:.0f} + {drain.worker_us:.0f} | "
        f"{drain.wal_bytes:,.0f} | {drain.enqueued_per_second:,.0f} | {_pick_up(row)} |"
    )


def _context_line(row: Row) -> str:
    drain = row.drain
    return (
        f"| {row.peer.name} | {drain.jobs_per_second:,.0f} | {drain.store_us:.0f} + {drain.worker_us:.0f} | "
        f"{drain.enqueued_per_second:,.0f} | {_pick_up(row)} |"
    )


def _pick_up(row: Row) -> str:
    return f"{row.latency.p50:.1f} / {row.latency.p99:.1f}" if row.latency else "–"


def _context(rows: list[Row], redis: str) -> list[str]:
    if not on("redis", rows):
        return []
    return [
        "## For context: on Redis",
        "",
        f"The same backlog on {redis}, which brings its append-only file to the disk once a second: when the machine "
        "fails, the last second is lost. All above is on the disk before it is answered, so no ratio is drawn. Time "
        "runs until the queue is empty and nothing is in work.",
        "",
        context(rows),
        "",
    ]


def _ahead(rows: list[Row], ours: Row | None) -> list[str]:
    if ours is None:
        return []
    faster = [
        row
        for row in rows
        if row.peer.name not in (OURS, REFERENCE) and row.drain.jobs_per_second > ours.drain.jobs_per_second
    ]
    quicker = [
        row
        for row in rows
        if row.latency
        and ours.latency
        and row.peer.name not in (OURS, REFERENCE)
        and row.latency.p50 < ours.latency.p50
    ]
    told = [
        f"- {row.peer.name} works off {row.drain.jobs_per_second / ours.drain.jobs_per_second:.2f} times as much in "
        f"the same time. It leaves of a finished job: {row.peer.keeps}."
        for row in faster
    ] + [
        f"- {row.peer.name} starts a job on an idle worker after {row.latency.p50:.1f} ms (p50), scheduler after "
        f"{ours.latency.p50:.1f} ms."
        for row in quicker
        if row.latency and ours.latency
    ]
    if quicker:
        told.append(_WHY_QUICKER)
    return ["## Where others are ahead", "", *(told or ["Nowhere in this table."]), ""]


def _setup(peer: Peer) -> str:
    name = f"[{peer.name}]({peer.page})" if peer.page else peer.name
    version = peer.packages[0] if peer.packages else "this checkout"
    return f"| {name} | {version} | {peer.configured} | {peer.keeps} |"


def _chart(rows: list[Row]) -> str:
    longest = max((row.drain.jobs_per_second for row in rows), default=1.0)
    height = len(rows) * (_BAR + _GAP) + _GAP
    room = _WIDTH - _LEFT - _RIGHT
    bars = []
    for place, row in enumerate(rows):
        top = _GAP + place * (_BAR + _GAP)
        width = max(1.0, row.drain.jobs_per_second / longest * room)
        colour = _COLOURS.get(row.peer.name, _OTHER)
        weight = ' font-weight="700"' if row.peer.name == OURS else ""
        bars.append(
            f'<text x="{_LEFT - 10}" y="{top + 15}" text-anchor="end"{weight}>{escape(row.peer.name)}</text>'
            f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="3" fill="{colour}"/>'
            f'<text x="{_LEFT + width + 8:.1f}" y="{top + 15}"{weight}>{row.drain.jobs_per_second:,.0f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1f2937" role="img" aria-label="Jobs a second">'
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>{"".join(bars)}</svg>\n'
    )
