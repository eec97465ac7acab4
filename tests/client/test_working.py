"""A worker of one's own: fenced and leased as ours are."""

from uuid import uuid4

import psycopg
import pytest

from scheduler import Client, LeaseLostError, ParamsError, RefusedError, transactional
from scheduler.model import Status
from tests.client.conftest import Place
from tests.client.either import Either


async def test_claim_and_complete(place: Place, either: Either) -> None:
    low, high, other = [await either.enqueue("h", {"n": n}, priority=n, queue=f"q{n // 2}") for n in range(3)]
    worker = await either.register("mine", queues=["q0", "q1"], pool_size=2)
    assert place.run("SELECT id, name, queues, pool_size, pid IS NOT NULL FROM job_workers") == [
        (worker, "mine", ["q0", "q1"], 2, True)
    ]
    claims = await either.claim(worker, "q0", 10)
    assert [
        (each.id, each.params, each.attempt, each.handler_name) for each in sorted(claims, key=lambda c: -c.id)
    ] == [
        (high, {"n": 1}, 1, "h"),
        (low, {"n": 0}, 1, "h"),
    ]
    assert {each.timeout_seconds for each in claims} == {300.0}
    assert await either.claim(worker, "q0", 10) == []
    for each in claims:
        await either.complete(each, {"done": each.id})
    assert [(await either.get(id_)).result for id_ in (low, high)] == [{"done": low}, {"done": high}]
    (last,) = await either.claim(worker, "q1")
    await either.complete(last)
    assert ((await either.get(other)).status, (await either.get(other)).result) == (Status.SUCCESS, None)


async def test_fail_and_try_again(place: Place, either: Either) -> None:
    id_ = await either.enqueue("h", max_retry=2)
    worker = await either.register("mine")
    (claimed,) = await either.claim(worker)
    assert await either.fail(claimed, "boom") == Status.PENDING
    place.run("UPDATE job_executions SET available_at = now()")
    (again,) = await either.claim(worker)
    assert (again.id, again.attempt) == (id_, 2)
    assert await either.fail(again, "boom again") == Status.FAILED
    assert (await either.get(id_)).error == "boom again"


async def test_what_is_no_longer_its_own(place: Place, either: Either) -> None:
    id_ = await either.enqueue("h")
    worker = await either.register("mine")
    (claimed,) = await either.claim(worker)
    await either.complete(claimed)
    said = (
        rf"^The claim of execution {id_} is over, and nothing was recorded: it is recorded already, or the lease of its"
    )
    with pytest.raises(LeaseLostError, match=said):
        await either.complete(claimed)
    with pytest.raises(LeaseLostError, match=said):
        await either.fail(claimed, "late")
    assert (await either.get(id_)).status == Status.SUCCESS


async def test_a_worker_that_is_lost(place: Place, either: Either) -> None:
    worker = await either.register("mine")
    await either.heartbeat(worker, lease_seconds=60)
    place.run("UPDATE job_workers SET status = 'LOST'")
    for id_ in (worker, uuid4()):
        with pytest.raises(LeaseLostError, match=rf"^Worker {id_} is lost: stop what it claimed, and register another"):
            await either.heartbeat(id_)
        with pytest.raises(LeaseLostError, match=rf"^worker {id_} has no valid lease\. Call register_worker again"):
            await either.claim(id_)


async def test_nonsense(place: Place, either: Either) -> None:
    await either.enqueue("h")
    worker = await either.register("mine")
    with pytest.raises(RefusedError, match=r"^n -1 is out of range\. Write how many to claim at most\."):
        await either.claim(worker, n=-1)
    assert await either.claim(worker, "nobody's") == []
    (claimed,) = await either.claim(worker)
    with pytest.raises(ParamsError, match=r"^The result can't be turned into JSON"):
        await either.complete(claimed, object())
    await either.complete(claimed, [1])


async def test_success_together_with_ones_own_writes(place: Place) -> None:
    with Client() as client:
        first, second = client.enqueue_many("h", [{}, {}])
        claims = {each.id: each for each in client.claim(client.register("mine"), n=2)}
        with pytest.raises(KeyError), transactional("default"):
            client.complete(claims[first])
            raise KeyError
        with psycopg.connect(place.url) as given:
            given.execute("INSERT INTO effect VALUES (1)")
            client.complete(claims[second], connection=given)
            assert client.get(second).status == Status.RUNNING
        assert [client.get(id_).status for id_ in (first, second)] == [Status.RUNNING, Status.SUCCESS]
    assert place.effects()[0] == [1]
