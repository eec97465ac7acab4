"""`scheduler doctor`: one list of checks, each of which says what it found, how bad that is, and what to do.

    examine ── CHECKS ──▶ a check looks at a Bench (facts, guarded session) ──▶ findings

    project        settings and handlers          clocks         clock, time zone data
    messages       message queues and brokers
    server         the way to the server          transactions   two-phase commit
    vacuum         dead rows, old transactions    workers        who works
    work           executions and queues          cron           cron jobs
    finding        what a check says              page           what it means, at length

A check that fails is a finding itself. None of them loads the database: each statement is bounded.
"""

from scheduler.operations.doctor.examination import CHECKS, Check, examine
from scheduler.operations.doctor.facts import DatabaseFacts, IgnoredFile, Place, SettingsFacts
from scheduler.operations.doctor.finding import Code, Finding, Level
from scheduler.operations.doctor.messages import message_queues
from scheduler.operations.doctor.project import handlers, refused, settings

__all__ = [
    "CHECKS",
    "Check",
    "Code",
    "DatabaseFacts",
    "Finding",
    "IgnoredFile",
    "Level",
    "Place",
    "SettingsFacts",
    "examine",
    "handlers",
    "message_queues",
    "refused",
    "settings",
]
