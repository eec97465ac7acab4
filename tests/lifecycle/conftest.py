from tests.lifecycle.runner import runner
from tests.store.fixtures import armed, events, executions, line_url, make_session, session, tables

__all__ = ["armed", "events", "executions", "line_url", "make_session", "runner", "session", "tables"]
