"""`python -m scheduler.config docs/settings.md` brings the page's table up to date."""

import sys
from pathlib import Path

from scheduler.config.reference import write_into

write_into(Path(sys.argv[1]))
