"""The page of `./dev bench peers`: who is compared on it, and who is there for context only."""

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.peers import page
from benchmarks.peers.catalogue import OURS, PEERS, REFERENCE, Peer
from benchmarks.peers.measure import Drain, Latency
from benchmarks.peers.stores import fresh, redis_version

ON_REDIS = [peer for peer in PEERS if peer.store == "redis"]


def row(peer: Peer, jobs_per_second: float, p50: float = 1.0) -> page.Row:
    drain = Drain(jobs_per_second, enqueued_per_second=5_000, store_us=20, worker_us=30, wal_bytes=700)
    return page.Row(peer, drain, Latency(p50, p99=9.0))


def compared() -> list[page.Row]:
    by_name = {peer.name: peer for peer in PEERS}
    return [
        row(by_name[REFERENCE], 40_000),
        row(by_name[OURS], 20_000),
        row(by_name["pg-boss"], 10_000, p50=2.0),
    ]


def written(folder: Path, rows: list[page.Row]) -> tuple[str, str]:
    """The page and its chart."""
    path = folder / "benchmarks.md"
    page.write(path, rows, "PostgreSQL 18.0", "Valkey 9.0.0", Namespace(jobs=50_000, rounds=3))
    return path.read_text(), path.with_suffix(".svg").read_text()


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


class TestWhoIsOnRedis:
    @pytest.fixture
    def pages(self, tmp_path: Path) -> tuple[str, str]:
        """With the ones on Redis faster and quicker than all others."""
        return written(tmp_path, [*compared(), *(row(peer, 90_000, p50=0.1) for peer in ON_REDIS)])

    def test_they_have_a_table_of_their_own_with_what_they_run_on(self, pages: tuple[str, str]) -> None:
        told = section(pages[0], "For context: on Redis")
        assert "on Valkey 9.0.0" in told
        lines = [line for line in told.splitlines() if line.startswith("| ")][1:]
        assert lines == [f"| {peer.name} | 90,000 | 20 + 30 | 5,000 | 0.1 / 9.0 |" for peer in ON_REDIS]

    def test_nothing_is_set_in_relation_to_them(self, pages: tuple[str, str], tmp_path: Path) -> None:
        text, chart = pages
        without, chart_without = written(tmp_path, compared())
        assert text.split("\n## For context")[0] == without.split("\n## How each")[0]
        assert chart == chart_without

    def test_the_reader_learns_how_they_were_set_up(self, pages: tuple[str, str]) -> None:
        told = section(pages[0], "How each was set up")
        assert all(f"| [{peer.name}]({peer.page}) | {peer.packages[0]} |" in told for peer in ON_REDIS)

    def test_without_them_the_page_says_nothing_of_redis(self, tmp_path: Path) -> None:
        assert "Redis" not in written(tmp_path, compared())[0]

    def test_they_alone_can_be_measured(self, tmp_path: Path) -> None:
        assert "| BullMQ | 90,000 |" in written(tmp_path, [row(ON_REDIS[0], 90_000)])[0]


class TestRedisAsAStore:
    @pytest.mark.parametrize("peer", ON_REDIS, ids=lambda peer: peer.name)
    def test_a_fresh_one_has_nothing_unfinished(self, peer: Peer) -> None:
        with fresh(peer, admin="") as store:
            assert not store.has(peer.unfinished)

    def test_it_has_what_waits(self) -> None:
        arq = next(peer for peer in ON_REDIS if peer.name == "arq")
        with fresh(arq, admin="") as store:
            store.has("ZADD arq:queue 1 job")
            assert store.has(arq.unfinished)

    def test_its_version_is_told_by_name(self) -> None:
        assert redis_version().split()[0] in ("Redis", "Valkey")
