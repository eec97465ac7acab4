"""`./dev chaos`: faults of every kind by a seed, and whether everything still holds."""

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from tests.chaos.artifacts import keep, rendered
from tests.chaos.run import Performance, Plan, Report
from tests.chaos.stage import Stage


def main() -> int:
    asked = _arguments()
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    plan = Plan(seed, asked.minutes * 60, asked.workers, asked.every)
    if asked.schedule:
        print("\n".join(f"{strike.at:8.2f} s  {strike.kind}" for strike in plan.strikes))
        return 0
    print(f"seed {seed}: {len(plan.strikes)} faults in {asked.minutes:g} minutes", flush=True)
    signal.signal(signal.SIGTERM, _end)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    kept: Path | None = asked.keep

    def keep_if_wanted(stage: Stage, report: Report) -> None:
        nonlocal kept
        if kept is None and not is_good(report):
            kept = Path(f"chaos-{seed}").resolve()
        if kept is not None:
            keep(stage, report, kept)

    try:
        report = Performance(plan, folder, tell=lambda line: print(line, flush=True)).run(keep_if_wanted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(rendered(report))
    if kept is not None:
        print(f"\nTables, schedule and logs are in {kept}.")
    return 0 if is_good(report) else 1


def is_good(report: Report) -> bool:
    return not report.violated and not report.unproven


def _end(*_: object) -> NoReturn:
    sys.exit(143)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=10.0, help="how long faults happen (10)")
    add("--seed", type=int, help="the same seed is the same schedule (a random one)")
    add("--workers", type=int, default=3, choices=range(2, 33), metavar="N", help="how many `scheduler run` (3)")
    add("--every", type=float, default=3.0, metavar="SECONDS", help="between two faults, on average (3)")
    add("--keep", type=Path, metavar="FOLDER", help="leave tables, schedule and logs there in any case")
    add("--schedule", action="store_true", help="only show what would happen when")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
