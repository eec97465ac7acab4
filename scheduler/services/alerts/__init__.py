"""Alerts: a watcher finds causes and opens and closes rows; a handler tells targets, as executions like any other.

watcher ──> job_alerts row + one execution per target, in one transaction ──> handler scheduler.alert ──> target
"""
