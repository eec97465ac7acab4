"""Bad rows and bad handlers: each says in a sentence what is wrong, nothing is lost, and nothing else stops."""

import pytest

from tests.faults.harness import Scene, SchedulerProcess

NOT_YET = "SELECT available_at > job_now() + interval '25 s' FROM job_executions WHERE id = %s"


@pytest.fixture
def worker(scene: Scene) -> SchedulerProcess:
    return scene.worker()


def ended(scene: Scene, id_: int) -> tuple[str, str | None, object]:
    """The first line of its error, its status, its result, once it has had its attempt; and others run after it."""
    scene.until_true("SELECT attempt = 1 AND status <> 'RUNNING' FROM job_executions WHERE id = %s", id_)
    scene.until_all("SUCCESS", scene.enqueue("work"))
    status, error, result = scene.rows("SELECT status, error, result FROM job_executions WHERE id = %s", id_)[0]
    return status, error.splitlines()[0] if error else None, result


def test_a_handler_that_nobody_has_waits_for_one_who_has(scene: Scene, worker: SchedulerProcess) -> None:
    (id_,) = scene.enqueue("wrok")
    status, error, _ = ended(scene, id_)
    assert status == "PENDING"
    assert error is not None
    assert error.startswith("No handler is registered as 'wrok'. Did you mean 'work'?")
    assert scene.value(NOT_YET, id_)
    (event,) = worker.said("execution.retrying")
    assert error in event["message"]


def test_params_that_do_not_fit_fail_at_once(scene: Scene, worker: SchedulerProcess) -> None:
    (id_,) = scene.enqueue("work", {"seconds": "soon"})
    status, error, _ = ended(scene, id_)
    assert (status, worker.is_up) == ("FAILED", True)
    assert error is not None
    assert "seconds" in error


def test_a_result_that_is_not_json_is_stored_as_far_as_it_goes(scene: Scene, worker: SchedulerProcess) -> None:
    (id_,) = scene.enqueue("unstorable_result")
    status, error, result = ended(scene, id_)
    assert (status, error, worker.is_up) == ("SUCCESS", None, True)
    assert isinstance(result, dict)
    assert result["fine"] == 1
    assert result["thing"] == "<object is not JSON>"
    assert "\0" not in result["text"]


def test_what_postgres_refuses_in_a_text_is_replaced(scene: Scene, worker: SchedulerProcess) -> None:
    (id_,) = scene.enqueue("unstorable_error")
    status, error, _ = ended(scene, id_)
    assert (status, error) == ("FAILED", "ValueError: before \ufffd between \ufffd after")
    assert worker.is_up


@pytest.mark.parametrize("handler", ["exits", "exits_in_thread"])
def test_a_handler_cannot_end_its_worker(scene: Scene, worker: SchedulerProcess, handler: str) -> None:
    (id_,) = scene.enqueue(handler)
    status, error, _ = ended(scene, id_)
    assert (status, worker.is_up) == ("FAILED", True)
    assert error is not None
    assert "A handler can't end its worker" in error
