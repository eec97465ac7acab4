"""Metrics: a catalogue of names, a tally that counts, and a page that Prometheus reads. Nothing here asks anybody.

worker ──counts──> Tally ──increments──> the supervisor's Tally ──> page
                                 what the database was asked for ──┘
"""

from scheduler.metrics.catalogue import CATALOGUE, Kind, Metric
from scheduler.metrics.exposition import CONTENT_TYPE, exposition
from scheduler.metrics.tally import Increments, Key, Tally

__all__ = ["CATALOGUE", "CONTENT_TYPE", "Increments", "Key", "Kind", "Metric", "Tally", "exposition"]
