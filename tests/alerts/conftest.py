from tests.store.fixtures import events, line_url, make_session, session, tables

__all__ = ["events", "line_url", "make_session", "session", "tables"]
