"""Who may come in: urls, passwords, rights, TLS."""

from pathlib import Path

import pytest

from scheduler.errors import ConfigurationError
from scheduler.queues.redis import RedisMessageQueue
from tests.queues.contract.waiting import receive
from tests.queues.redis.opening import opened, refused
from tests.queues.servers.certificates import Certificates, write_certificates
from tests.queues.servers.front import front
from tests.queues.servers.ports import free_port
from tests.queues.servers.redis import RedisServer


async def test_a_wrong_password_is_told_and_not_repeated(tmp_path: Path) -> None:
    with RedisServer(tmp_path, more=["--requirepass", "right"]) as server:
        wrong = await refused(f"redis://:wrong-password@127.0.0.1:{server.port}/0")
        none = await refused(server.url)
        async with opened(f"redis://default:right@127.0.0.1:{server.port}/0") as queue:
            await queue.publish(b"1")
    assert "refuses user or password" in wrong
    assert "refuses user or password" in none
    assert "wrong-password" not in wrong
    assert f"127.0.0.1:{server.port}/0" in wrong


async def test_a_user_without_rights_is_told_which(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser("stranger", enabled=True, passwords=["+secret"], keys=["mine*"], categories=["+@all"])
    said = await refused(f"redis://stranger:secret@127.0.0.1:{server.port}/0")
    assert "lacks a right" in said


async def test_as_few_rights_as_the_page_says_are_enough(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser(
            "modest",
            enabled=True,
            passwords=["+secret"],
            keys=["modest", "{modest}:*"],
            categories=["+@list", "+@sortedset", "+@hash", "+@scripting"],
            commands=["+info", "+time"],
        )
    async with opened(f"redis://modest:secret@127.0.0.1:{server.port}/0", name="modest") as queue:
        await queue.publish(b"1", delay=0.01)
        [delivery] = await receive(queue)
        await queue.nack(delivery, delay=0.01)
        await queue.ack(await receive(queue))
        assert await queue.health() == []


async def test_nobody_answers() -> None:
    port = free_port()
    said = await refused(f"redis://:secret@127.0.0.1:{port}/0")
    assert f"127.0.0.1:{port}/0 can't be reached" in said
    assert "secret" not in said


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis://localhost:port", ""])
def test_an_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://"):
        RedisMessageQueue(url, "tasks")


async def test_tls_with_certificates_of_both_sides(server: RedisServer, tmp_path: Path) -> None:
    ours, others = write_certificates(tmp_path / "ours"), write_certificates(tmp_path / "others")

    def url(authority: Certificates, client: Certificates | None) -> str:
        shown = f"&ssl_certfile={client.client}&ssl_keyfile={client.client_key}" if client else ""
        return f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.authority}{shown}"

    async with front(server.port, tls=ours.server_context()) as secured:
        port = secured.port
        async with opened(url(ours, ours)) as queue:
            await queue.publish(b"1")
            assert [delivery.body for delivery in await receive(queue)] == [b"1"]
        assert "certificate verify failed" in await refused(url(others, ours))
        await refused(url(ours, None))
        await refused(url(ours, others))
        await refused(f"redis://127.0.0.1:{port}/0")
