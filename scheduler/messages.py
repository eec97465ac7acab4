"""The log catalogue: each line the product can write is one event, with its level and its words in English and Korean.

`log("worker.started", concurrency=2)` writes one line; the names in `{braces}` are the values it must be given.
A test refuses log calls past this file, events without a language, and placeholders that don't match.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Any, Literal, TextIO

Language = Literal["en", "ko"]
logger = logging.getLogger("scheduler")

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

# What could forge a line, steer a terminal or turn the reading direction, and surrogates, which no stream can write.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Tolerant(Formatter):
    """Formats numbers as the text says and takes words as they are: a line is never lost to its own wording."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return value if isinstance(value, str) else str(super().format_field(value, format_spec))


_FORMATTER = _Tolerant()


@dataclass(frozen=True, slots=True)
class Event:
    level: int
    en: str
    ko: str

    def text(self, language: Language, values: Mapping[str, Any]) -> str:
        return _FORMATTER.vformat(self.ko if language == "ko" else self.en, (), values)


D, I, W, E = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR  # noqa: E741 - one letter keeps the table narrow

# fmt: off
# ruff: disable[E501] - an event is read in two lines, one a language, however long its sentence
CATALOGUE: Mapping[str, Event] = {
    # settings
    "settings.ignored":       Event(W, "Settings in {file} are ignored: {written!r} is not a section. Did you mean {meant!r}?",
                                      "{file}의 설정을 무시합니다: {written!r}은(는) 섹션이 아닙니다. {meant!r}을(를) 쓰려고 하셨나요?"),

    # worker
    "worker.started":        Event(I, "Worker started with concurrency {concurrency}",
                                      "워커가 동시 실행 수 {concurrency}(으)로 시작되었습니다"),
    "worker.stopping":       Event(I, "Worker is stopping: no new claims, {running} running, up to {seconds:g} s to finish",
                                      "워커를 종료하는 중입니다: 새 작업을 받지 않습니다, 실행 중 {running}개, 최대 {seconds:g}초 대기"),
    "worker.retiring":       Event(I, "Worker takes no more and ends when what runs has ended: {running} running",
                                      "워커가 새 작업을 받지 않고 실행 중인 작업이 끝나면 종료합니다: 실행 중 {running}개"),
    "worker.stopped":        Event(I, "Worker stopped: {succeeded} succeeded, {failed} failed, {handed_back} handed back",
                                      "워커가 종료되었습니다: 성공 {succeeded}, 실패 {failed}, 반환 {handed_back}"),
    "worker.handed_back":    Event(W, "Handed back unfinished executions: {ids}",
                                      "끝나지 않은 실행을 반환했습니다: {ids}"),
    "worker.abandoned":      Event(E, "Exiting with work that would not stop: {ids}",
                                      "멈추지 않는 작업을 남기고 종료합니다: {ids}"),
    "worker.lease_lost":     Event(E, "Lease lost ({reason}): stopping {running} attempts; this process continues as a new worker",
                                      "리스를 잃었습니다({reason}): 실행 중인 {running}개를 중단하고 새 워커로 계속합니다"),
    "worker.loop_blocked":   Event(W, "The event loop has not answered for {seconds} s: a handler blocks it at {place}",
                                      "이벤트 루프가 {seconds}초 동안 응답하지 않습니다. 핸들러가 막고 있는 곳: {place}"),
    "worker.blocked_for_good": Event(E, "The event loop has not answered for {seconds} s: ending this process; execution {id} is to blame, at {place}",
                                      "이벤트 루프가 {seconds}초 동안 응답하지 않아 이 프로세스를 종료합니다. 원인은 실행 {id}, 위치 {place}"),
    "worker.strangers":      Event(W, "Handed back executions that this worker holds but does not know: {ids}",
                                      "이 워커의 것이지만 알지 못하는 실행을 반환했습니다: {ids}"),

    # executions
    "execution.succeeded":   Event(I, "Execution {id} ({handler}) SUCCESS in {seconds:.3f} s",
                                      "실행 {id}({handler}) SUCCESS, {seconds:.3f}초"),
    "execution.result_changed": Event(W, "Execution {id} ({handler}): part of its result could not be stored as JSON and was replaced; return plain values or a pydantic model, of at most 1 MiB",
                                      "실행 {id}({handler}): 결과의 일부를 JSON으로 저장할 수 없어 다른 값으로 바꿨습니다. 1 MiB 이하의 일반 값이나 pydantic 모델을 반환하세요"),
    "execution.failed":      Event(W, "Execution {id} ({handler}) {status} on attempt {attempt}: {error}",
                                      "실행 {id}({handler}) {status}, 시도 {attempt}: {error}"),
    "execution.retrying":    Event(W, "Execution {id} ({handler}) {outcome} on attempt {attempt}, next try in {seconds} s: {error}",
                                      "실행 {id}({handler}) {outcome}, 시도 {attempt}, {seconds}초 뒤 재시도: {error}"),
    "execution.cancelled":   Event(I, "Execution {id} ({handler}) CANCELLED: {reason}",
                                      "실행 {id}({handler}) CANCELLED: {reason}"),
    "execution.returned":    Event(I, "Execution {id} ({handler}) back to PENDING ({why})",
                                      "실행 {id}({handler}) PENDING으로 되돌림({why})"),
    "execution.stale":       Event(W, "Execution {id}: the outcome of attempt {attempt} was refused, the row is no longer ours",
                                      "실행 {id}: 시도 {attempt}의 결과가 거부되었습니다. 더 이상 이 워커의 행이 아닙니다"),
    "execution.overdue":     Event(W, "Execution {id} ({handler}) did not stop after its timeout of {seconds:g} s; its slot stays taken, and its next try waits, until it does",
                                      "실행 {id}({handler})이(가) 제한 시간 {seconds:g}초 뒤에도 멈추지 않아 멈출 때까지 자리를 차지하고 다음 시도를 미룹니다"),
    "executions.summary":    Event(I, "{count} executions in {seconds} s: {succeeded} succeeded, {failed} failed, {retried} to retry",
                                      "{seconds}초 동안 {count}개 실행: 성공 {succeeded}, 실패 {failed}, 재시도 {retried}"),

    # planner
    "planner.started":       Event(I, "Planner started", "플래너가 시작되었습니다"),
    "planner.planned":       Event(D, "Planned {count} ticks of {cron_jobs} cron jobs",
                                      "크론 작업 {cron_jobs}개의 틱 {count}개를 계획했습니다"),
    "planner.skipped":       Event(I, "Cron job {name}: {reason}",
                                      "크론 작업 {name}: {reason}"),
    "planner.resumed":       Event(I, "Cron job {name} is no longer paused",
                                   "크론 작업 {name}의 일시 중지가 끝났습니다"),
    "planner.refused":       Event(W, "Cron job {name} is not planned: {reason}",
                                      "크론 작업 {name}은(는) 계획되지 않습니다: {reason}"),

    # declared cron jobs
    "declared.created":      Event(I, "Cron job {name} created as declared ({schedule})",
                                      "선언된 크론 작업 {name}을(를) 만들었습니다({schedule})"),
    "declared.changed":      Event(I, "Cron job {name} changed as declared: {changes}",
                                      "크론 작업 {name}을(를) 선언대로 바꿨습니다: {changes}"),
    "declared.removed":      Event(I, "Cron job {name} removed: {managed_by} no longer declares it",
                                      "크론 작업 {name}을(를) 지웠습니다: {managed_by}에서 더 이상 선언하지 않습니다"),
    "declared.drift":        Event(W, "Cron job {name} was edited since it was applied, and the edit stays: {columns}; `scheduler cron plan` shows it",
                                      "크론 작업 {name}은(는) 적용된 뒤 수정되어 그대로 둡니다: {columns}. `scheduler cron plan`으로 확인하세요"),
    "declared.taken":        Event(W, "Cron job {name} is declared here, but its row is somebody else's (managed_by {owner}): left alone; rename one, or `scheduler cron apply --adopt`",
                                      "크론 작업 {name}이(가) 선언되었지만 그 행은 다른 곳의 것이어서(managed_by {owner}) 그대로 둡니다. 이름을 바꾸거나 `scheduler cron apply --adopt`를 쓰세요"),
    "declared.kept":         Event(W, "Nothing is declared any more: {count} cron jobs of {managed_by} are kept; `scheduler cron apply` removes them",
                                      "더 이상 선언된 것이 없습니다: {managed_by}의 크론 작업 {count}개를 그대로 둡니다. 지우려면 `scheduler cron apply`를 쓰세요"),
    "declared.not_applied":  Event(W, "{count} declared cron jobs and their rows differ: `scheduler cron plan` shows how, `scheduler cron apply` or `scheduler run --apply` makes the rows as declared",
                                      "선언과 행이 다른 크론 작업이 {count}개 있습니다. `scheduler cron plan`으로 확인하고 `scheduler cron apply` 또는 `scheduler run --apply`로 적용하세요"),

    # rescuer
    "rescuer.workers_lost":  Event(W, "Workers without a valid lease are marked LOST: {workers}",
                                      "유효한 리스가 없는 워커를 LOST로 표시했습니다: {workers}"),
    "rescuer.rescued":       Event(W, "Rescued {count} executions of lost workers: {ids}",
                                      "잃어버린 워커의 실행 {count}개를 구조했습니다: {ids}"),

    # pruner
    "pruner.rules":          Event(I, "What is over is deleted: {rules}; `scheduler prune --dry-run` shows what would go, docs/retention.md how to keep more",
                                      "끝난 것은 삭제됩니다: {rules}. `scheduler prune --dry-run`은 삭제될 것을, docs/retention.md는 더 오래 보관하는 방법을 보여 줍니다"),
    "pruner.pruned":         Event(I, "Deleted {executions} executions ({kinds}), {workers} workers and {messages} messages that retention no longer keeps",
                                      "보존 기간이 지난 실행 {executions}개({kinds}), 워커 {workers}개, 메시지 {messages}개를 삭제했습니다"),
    "pruner.unknown":        Event(W, "retention.cron_jobs names {name!r}, and no cron job is named so",
                                      "retention.cron_jobs에 {name!r}이(가) 있지만 그런 이름의 크론 작업이 없습니다"),
    "pruner.may_not":        Event(W, "Nothing is deleted, for the database's role lacks a right ({error}): `scheduler db roles` prints what a worker needs, or set retention to null",
                                      "데이터베이스 역할에 권한이 없어 아무것도 삭제하지 않습니다({error}). `scheduler db roles`가 워커에 필요한 권한을 보여 줍니다"),

    # alerts
    "alert.opened":          Event(W, "Alert ({rule}): {what}",
                                      "경보({rule}): {what}"),
    "alert.closed":          Event(I, "Alert is over ({rule}): {what}",
                                      "경보 해제({rule}): {what}"),

    # queues
    "queue.paused_itself":   Event(W, "Queue {queue} pauses itself after {failures} failures in a row, until it is resumed",
                                      "큐 {queue}이(가) 연속 {failures}회 실패하여 다시 시작될 때까지 스스로 일시 중지합니다"),
    "queue.paused_for":      Event(W, "Queue {queue} pauses itself after {failures} failures in a row, for {seconds:g} s",
                                      "큐 {queue}이(가) 연속 {failures}회 실패하여 {seconds:g}초 동안 스스로 일시 중지합니다"),

    # consumers
    "consumer.started":      Event(I, "Consumer {consumer} reads message queue {queue} for handler {handler}: {concurrency} at once, {prefetch} waiting at most",
                                      "컨슈머 {consumer}이(가) 메시지 큐 {queue}을(를) 읽어 핸들러 {handler}에 넘깁니다: 동시 실행 {concurrency}, 대기 최대 {prefetch}"),
    "consumer.waits":        Event(I, "Consumer {consumer} waits for {needed}, which it depends on",
                                      "컨슈머 {consumer}이(가) 의존하는 {needed}을(를) 기다립니다"),
    "consumer.refused":      Event(W, "Consumer {consumer}: {count} messages of {queue} went to its dead letter queue; {id}: {reason}",
                                      "컨슈머 {consumer}: {queue}의 메시지 {count}개를 데드 레터 큐로 보냈습니다. {id}: {reason}"),
    "consumer.foreign":      Event(W, "Consumer {consumer}: {count} messages of {queue} came without an id so far; what comes twice of them runs twice",
                                      "컨슈머 {consumer}: 지금까지 {queue}의 메시지 {count}개에 id가 없습니다. 두 번 오면 두 번 실행됩니다"),
    "consumer.stopped":      Event(I, "Consumer {consumer} stopped: {made} executions made, {known} messages known already, {refused} refused, {foreign} without an id, {handed_back} handed back",
                                      "컨슈머 {consumer}을(를) 종료했습니다: 실행 {made}개 생성, 이미 처리된 메시지 {known}개, 거부 {refused}개, id 없음 {foreign}개, 반환 {handed_back}개"),

    # queue workers and thread pools, without a database
    "standalone.worker_started":  Event(I, "Queue worker {name} started on queue {queue} with concurrency {concurrency}",
                                      "큐 워커 {name}이(가) 큐 {queue}에서 동시 실행 수 {concurrency}(으)로 시작되었습니다"),
    "standalone.worker_stopped":  Event(I, "Queue worker {name} stopped: {processed} processed, {failed} failed attempts, {unfinished} unfinished",
                                      "큐 워커 {name}이(가) 종료되었습니다: 처리 {processed}, 실패한 시도 {failed}, 미완료 {unfinished}"),
    "standalone.caution":   Event(W, "Queue {queue}: {caution}", "큐 {queue}: {caution}"),
    "standalone.retrying":  Event(W, "Message {id} of queue {queue} failed on delivery {attempt}, next try in {seconds:g} s: {error}",
                                      "큐 {queue}의 메시지 {id} 실패, 전달 {attempt}, {seconds:g}초 뒤 재시도: {error}"),
    "standalone.dead":      Event(E, "Message {id} of queue {queue} goes to the dead letter queue: {error}",
                                      "큐 {queue}의 메시지 {id}을(를) 데드 레터 큐로 보냅니다: {error}"),
    "standalone.dropped":   Event(W, "Thread pool {name}: {count} tasks were not finished when the interpreter ended; leave it by `with`, or call shutdown()",
                                      "스레드 풀 {name}: 인터프리터가 끝날 때 작업 {count}개가 완료되지 않았습니다. `with`를 쓰거나 shutdown()을 호출하세요"),

    # supervisor
    "supervisor.started_worker": Event(D, "Started worker process {pid}", "워커 프로세스 {pid}을(를) 시작했습니다"),
    "supervisor.not_started": Event(W, "No worker process could be started: {why}; trying again in {seconds} s",
                                      "워커 프로세스를 시작할 수 없습니다: {why}. {seconds}초 뒤 다시 시도합니다"),
    "supervisor.replacing":  Event(W, "Worker process {pid} {how}; another one starts in {seconds} s",
                                      "워커 프로세스 {pid}: {how}. {seconds}초 뒤 새로 시작합니다"),
    "supervisor.silent":     Event(E, "Worker process {pid} has said nothing for {seconds} s: killing it",
                                      "워커 프로세스 {pid}이(가) {seconds}초 동안 응답하지 않아 강제 종료합니다"),
    "supervisor.hung":       Event(E, "Worker process {pid} can begin nothing: no handler in it stops at its timeout; replacing it",
                                      "워커 프로세스 {pid}의 모든 슬롯을 시간 제한이 지나도 멈추지 않는 핸들러가 차지하여 교체합니다"),
    "supervisor.overdue":   Event(E, "Worker process {pid} has not ended in time: killing it",
                                      "워커 프로세스 {pid}이(가) 제때 끝나지 않아 강제 종료합니다"),
    "supervisor.worn":       Event(I, "Worker process {pid} has begun {executions} executions: replacing it",
                                      "워커 프로세스 {pid}이(가) 실행 {executions}개를 처리하여 교체합니다"),
    "supervisor.scaled":     Event(I, "Now {processes} worker processes",
                                      "이제 워커 프로세스는 {processes}개입니다"),

    # processes of handlers
    "process.broke":         Event(E, "A process for handlers ended by a fault of the scheduler's own: {error}",
                                      "핸들러용 프로세스가 스케줄러 자체의 오류로 종료되었습니다: {error}"),

    # every loop
    "loop.failed":           Event(W, "{loop}: {error}; trying again in {seconds} s",
                                      "{loop}: {error}; {seconds}초 뒤 다시 시도합니다"),
    "listener.deaf":         Event(W, "A pooler in transaction mode stands in front of the job database: LISTEN does not work through it, so that work is found by polling only, and a heartbeat may have to wait for a connection. Write the server's own address as databases.<name>.direct_url",
                                      "작업 데이터베이스 앞에 트랜잭션 모드의 풀러가 있습니다: LISTEN이 동작하지 않아 폴링으로만 작업을 찾고, 하트비트는 연결을 기다려야 할 수 있습니다. 서버의 주소를 databases.<name>.direct_url에 쓰세요"),
    "loop.recovered":        Event(I, "{loop}: working again after {seconds} s",
                                      "{loop}: {seconds}초 만에 다시 동작합니다"),

    "health.served":         Event(I, "Health is served at http://{address}:{port}/health and /live",
                                      "상태 페이지: http://{address}:{port}/health, /live"),

    "web.served":            Event(I, "The HTTP API is served at http://{address}:{port}/api/v1",
                                      "HTTP API 주소: http://{address}:{port}/api/v1"),
    "web.failed":            Event(E, "{method} {path} failed by a fault of the scheduler's own: {error}",
                                      "{method} {path}: 스케줄러 자체의 오류로 실패했습니다: {error}"),
    "web.stopped":           Event(I, "The HTTP API has ended", "HTTP API가 종료되었습니다"),
    "web.restarted":         Event(W, "The HTTP API ended with code {code}; starting it again in {seconds} s",
                                      "HTTP API가 코드 {code}(으)로 종료되어 {seconds}초 뒤 다시 시작합니다"),

    # databases
    "database.pool_exhausted": Event(W, "Database {database}: no connection became free within {seconds:g} s (pool_size {pool_size})",
                                        "데이터베이스 {database}: {seconds:g}초 안에 빈 연결이 없습니다(pool_size {pool_size})"),
    "database.query_failed":   Event(E, "Database {database}: {error}", "데이터베이스 {database}: {error}"),
    "database.transaction_failed": Event(E, "Transaction over {databases} failed: {error}",
                                            "{databases} 트랜잭션 실패: {error}"),

    "database.left_in_doubt": Event(W, "Database {database} could not be told what became of {gid}: the resolver will tell it",
                                       "데이터베이스 {database}에 {gid}의 결과를 알리지 못했습니다. 리졸버가 알립니다"),
    "database.cannot_prepare": Event(W, "Database {database} can't prepare transactions: a transaction over it and another database is refused. Set max_prepared_transactions on its server, or databases.{database}.atomicity: best_effort",
                                        "데이터베이스 {database}은(는) 트랜잭션을 준비할 수 없어 다른 데이터베이스와 함께 쓰는 트랜잭션이 거부됩니다. 서버의 max_prepared_transactions를 설정하거나 databases.{database}.atomicity: best_effort를 쓰세요"),

    # resolver
    "resolver.carried_out":  Event(W, "{count} transactions left prepared in database {database} are settled: {decision} of {gids}",
                                      "데이터베이스 {database}에 준비된 채 남은 트랜잭션 {count}개를 처리했습니다: {gids} {decision}"),

    # embedded Postgres
    "embedded.starting":     Event(I, "Starting the embedded PostgreSQL {version} in {folder}",
                                      "내장 PostgreSQL {version}을(를) {folder}에서 시작합니다"),
    "embedded.ready":        Event(I, "Embedded PostgreSQL is ready after {seconds} s",
                                      "내장 PostgreSQL이 {seconds}초 만에 준비되었습니다"),
    "embedded.crashed":      Event(W, "The embedded PostgreSQL ended unexpectedly (exit status {status}): starting it again",
                                      "내장 PostgreSQL이 예기치 않게 종료되었습니다(종료 상태 {status}). 다시 시작합니다"),
    "embedded.restart_failed": Event(E, "The embedded PostgreSQL could not be started again: {error}",
                                      "내장 PostgreSQL을 다시 시작하지 못했습니다: {error}"),
    "embedded.stopping":     Event(I, "Stopping the embedded PostgreSQL: {reason}",
                                      "내장 PostgreSQL을 종료합니다: {reason}"),

    # schema
    "schema.migrated":       Event(I, "Schema {schema} is at revision {revision}",
                                      "스키마 {schema}의 리비전: {revision}"),
}
# ruff: enable[E501]
# fmt: on


def log(event: str, /, **values: Any) -> None:
    """Write one line. Raises KeyError on an event that isn't in the catalogue.

    Where `configure` was not called, in a program with a logging of its own, the line goes there, in English.
    """
    entry = CATALOGUE[event]
    if logger.isEnabledFor(entry.level):
        text = event if logger.handlers else _UNSAFE.sub(" ", entry.text("en", values))
        logger.log(entry.level, text, extra={"event": event, "values": values})


def configure(
    level: str = "info", form: Literal["text", "json"] = "text", language: Language = "en", stream: TextIO | None = None
) -> None:
    """Send the catalogue's lines to `stream` (default stderr) in one language and form. Idempotent."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(language) if form == "json" else TextFormatter(language))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # The driver writes plain lines of its own when a server freezes; `loop.failed` tells that story already.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)


class TextFormatter(logging.Formatter):
    """`[2026-01-08 13:30:02] INFO: Worker started with concurrency 2`, in the host's local time."""

    def __init__(self, language: Language) -> None:
        super().__init__("[%(asctime)s] %(levelname)s: %(message)s", _TIME_FORMAT)
        self.language = language

    def format(self, record: logging.LogRecord) -> str:
        return super().format(_worded(record, self.language))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, event, message, and the event's values."""

    def __init__(self, language: Language) -> None:
        super().__init__()
        self.language = language

    def format(self, record: logging.LogRecord) -> str:
        worded = _worded(record, self.language)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "event": getattr(record, "event", record.name),
            "message": worded.getMessage(),
            **getattr(record, "values", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(line, ensure_ascii=False, default=str))


def _worded(record: logging.LogRecord, language: Language) -> logging.LogRecord:
    """The record with its event turned into words, on one line."""
    entry = CATALOGUE.get(getattr(record, "event", ""))
    text = entry.text(language, getattr(record, "values", {})) if entry else record.getMessage()
    worded = logging.makeLogRecord(record.__dict__)
    worded.msg = _UNSAFE.sub(" ", text)
    worded.args = None
    return worded
