"""Run by path (`python -I …/__main__.py ORDER`), so that the supervisor finds this package however it was installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scheduler.embedded.supervisor import main

if __name__ == "__main__":
    main(sys.argv[1])
