"""`scheduler bench`: what the line reaches on somebody's own database, in a schema that is gone afterwards.

place ── a schema made, migrated, dropped     measures ── enqueue, drain, latency, cron
fleet ── worker processes on it               report   ── what was found
  └── worker, jobs: what runs there           run      ── all of it, in order
"""

from scheduler.app.bench.place import Place, drop_statement, examine
from scheduler.app.bench.report import Report
from scheduler.app.bench.run import PARTS, Options, run

__all__ = ["PARTS", "Options", "Place", "Report", "drop_statement", "examine", "run"]
