from tests.store.fixtures import armed, events, executions, line_url, make_session, session, tables

__all__ = ["armed", "events", "executions", "line_url", "make_session", "session", "tables"]
