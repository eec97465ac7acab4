"""Who works: processes that live, that were lost, that nobody hears from."""

from collections.abc import Iterator

from scheduler.operations.doctor.bench import Bench, Process
from scheduler.operations.doctor.finding import Code, Finding
from scheduler.operations.words import count_of, listed, span

_DRAINING_SECONDS = 600
_START = "Start one: `scheduler run`."


def alive(bench: Bench) -> Iterator[Finding]:
    """Somebody works, and all of them are of one version."""
    processes = bench.alive
    if not processes:
        yield Finding.warning(Code.WORKERS, "No worker is alive: nothing is planned and nothing runs.", _START)
        return
    yield Finding.fine(
        Code.WORKERS,
        f"{count_of(len(processes), 'worker')} alive: {listed(process.name for process in processes)}.",
    )
    versions = sorted({process.version for process in processes})
    if len(versions) > 1:
        yield Finding.warning(
            Code.WORKERS_VERSIONS,
            f"Workers of different versions run at once: {listed(versions)}.",
            "Finish the roll-out: restart those of the old version.",
        )


def lost(bench: Bench) -> Iterator[Finding]:
    """None vanished within a day, and none is silent without anybody noticing."""
    gone = [process for process in bench.processes if process.status == "LOST"]
    if gone:
        yield Finding.warning(
            Code.WORKERS_LOST,
            f"{count_of(len(gone), 'worker')} lost in the last 24 hours: {listed(_told(each) for each in gone)}.",
            "Look at what ended them: out of memory, a kill, a host or network that froze. "
            "What they ran was tried again elsewhere.",
        )
    silent = [each for each in bench.processes if each.status != "LOST" and not each.alive]
    if silent:
        yield Finding.error(
            Code.WORKERS_SILENT,
            f"{count_of(len(silent), 'worker')} silent past the lease: {listed(_told(each) for each in silent)}. "
            "Nobody has taken their work away.",
            "Start a worker, which rescues that work: `scheduler run`.",
        )
    if not gone and not silent:
        yield Finding.fine(Code.WORKERS_LOST, "No worker was lost in the last 24 hours.")


def stalled(bench: Bench) -> Iterator[Finding]:
    """Whoever lives gets on with everything that it does."""
    ill = [process for process in bench.alive if process.stalled]
    if ill:
        yield Finding.warning(
            Code.LOOP_STALLED,
            f"{count_of(len(ill), 'worker')} alive and partly stalled: {listed(map(_ages, ill))}.",
            "Look for loop.failed and worker.loop_blocked in its log; if nothing is there, restart it: "
            "what it runs is handed back.",
        )
    elif bench.alive:
        yield Finding.fine(Code.LOOP_STALLED, "Every loop of every worker gets on.")


def draining(bench: Bench) -> Iterator[Finding]:
    """Who was told to stop comes to an end."""
    for each in bench.alive:
        if each.status == "DRAINING" and each.last_claim is not None and each.last_claim > _DRAINING_SECONDS:
            yield Finding.warning(
                Code.WORKERS_DRAINING,
                f"Worker {each.name} is shutting down and still holds {count_of(each.running, 'execution')}, "
                f"the newest of them for {span(each.last_claim)}.",
                "Wait for it, or end the process with a second SIGTERM: its work goes back to the queue.",
            )


def _ages(process: Process) -> str:
    oldest = sorted(process.stalled.items(), key=lambda loop: -loop[1])
    return f"{process.name} ({', '.join(f'{name} for {span(age)}' for name, age in oldest)})"


def _told(process: Process) -> str:
    return f"{process.name} (last heard of {span(process.silent_for)} ago)"
