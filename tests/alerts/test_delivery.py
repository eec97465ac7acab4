"""Telling a target: what it gets, and where nothing is sent to."""

import base64
import hashlib
import hmac
import json
import socket
from email import message_from_string
from email.policy import default
from typing import Any

import pytest

from scheduler.errors import FailPermanently, ForbiddenTargetError, UndeliveredError
from scheduler.services.alerts import mailing, posting
from scheduler.services.alerts.addresses import is_public
from scheduler.services.alerts.handler import alert_handler, delivered
from scheduler.services.alerts.letters import AlertNews, event, mail, signature_headers
from scheduler.services.alerts.targets import Mail, Slack, Webhook
from tests.alerts.servers import mail_server, silent_server, web_server

NEWS = AlertNews.model_validate(
    {
        "target": "ops",
        "state": "opened",
        "alert": {
            "id": 7, "rule": "backlog", "subject": "mail", "number": 10000.0, "opened_at": 1_700_000_000.25,
            "message": "<!channel> \r\nBcc: x & é",
        },
    }
)  # fmt: skip
SECRET = "whsec_" + base64.b64encode(b"between us").decode()


def test_a_webhook_gets_a_signed_event() -> None:
    with web_server() as server:
        target = Webhook(f"http://127.0.0.1:{server.port}/hook?key=1", SECRET, private=True)
        assert delivered(NEWS, target) == {"status": 204}
        (posted,) = server.items
    assert posted.path == "/hook?key=1"
    assert posted.json["type"] == "alert.opened"
    assert posted.json["data"]["opened_at"] == "2023-11-14T22:13:20.250000+00:00"
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    expected = base64.b64encode(hmac.digest(b"between us", signed, hashlib.sha256)).decode()
    assert posted.headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_that_of_the_standard() -> None:
    """Its own example of a secret; each part of what is signed changes it."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", event(NEWS)
    one = signature_headers(NEWS, body, secret, 1_614_265_330)
    assert one["webhook-id"] == "alert-7-opened"
    others = [signature_headers(NEWS, body, secret, 1), signature_headers(NEWS, b"", secret, 1_614_265_330)]
    assert len({each["webhook-signature"] for each in (one, *others)}) == 3
    assert "webhook-signature" not in signature_headers(NEWS, body, None, 1)


def test_slack_gets_text_that_calls_nobody() -> None:
    with web_server(200) as server:
        delivered(NEWS, Slack(f"http://127.0.0.1:{server.port}/", private=True))
        assert server.items[0].json == {"text": "Alert: &lt;!channel&gt; \r\nBcc: x &amp; é"}


def test_a_mail_has_no_headers_but_ours() -> None:
    with mail_server() as server:
        delivered(NEWS, Mail(f"smtp://127.0.0.1:{server.port}", "jobs@example.com", ("a@example.com", "b@example.com")))
        message = message_from_string(server.items[0], policy=default)
    assert message["Subject"] == "Alert: <!channel> Bcc: x & é"
    assert message["To"] == "a@example.com, b@example.com"
    assert message["Bcc"] is None
    assert message["Message-ID"] == mail(NEWS, "a@example.com", "b@example.com")["Message-ID"]


def test_a_mail_that_somebody_does_not_get_is_told() -> None:
    with (
        mail_server(refuses="b@example.com") as server,
        pytest.raises(UndeliveredError, match=r"not for b@example\.com"),
    ):
        delivered(NEWS, Mail(f"smtp://127.0.0.1:{server.port}", "jobs@example.com", ("a@example.com", "b@example.com")))


def test_a_password_is_not_sent_without_encryption() -> None:
    with mail_server() as server, pytest.raises(UndeliveredError, match="offers no encryption"):
        mailing.send(f"smtp://me:secret@127.0.0.1:{server.port}", mail(NEWS, "a@example.com", "b@example.com"))


@pytest.mark.parametrize("drip", [b"", b"H"])
def test_who_hangs_is_hung_up_on(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "SECONDS", 0.3)
    with silent_server(drip) as server, pytest.raises(UndeliveredError, match=r"127\.0\.0\.1 did not take the alert"):
        posting.post(f"http://127.0.0.1:{server.port}/", b"{}", {}, private=True)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 500])
def test_no_redirect_is_followed_and_no_answer_is_shown(status: int) -> None:
    with web_server() as canary, web_server(status, {"Location": f"http://127.0.0.1:{canary.port}/"}) as server:
        with pytest.raises(UndeliveredError, match=f"answered {status}"):
            posting.post(f"http://127.0.0.1:{server.port}/", b"{}", {}, private=True)
        assert len(server.items) == 1
        assert canary.items == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]",
        "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0", "[::]", "[fd00::1]",
        "[fe80::1]", "224.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is spelt, and before anything is connected to."""
    connected: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: connected.append(place))
    with pytest.raises(ForbiddenTargetError, match="which is not a public address"):
        posting.post(f"https://{host}/", b"{}", {}, private=False)
    assert connected == []


def test_a_name_is_resolved_once_and_what_was_looked_at_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["8.8.8.8"], ["127.0.0.1"]]
    connected: list[Any] = []

    def resolved(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    def connect(self: socket.socket, place: object) -> None:
        connected.append(place)
        raise ConnectionRefusedError("as far as it goes")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(UndeliveredError, match="as far as it goes"):
        posting.post("https://rebound.example/", b"{}", {}, private=False)
    assert connected == [("8.8.8.8", 443)]
    assert answers == [["127.0.0.1"]]


def test_one_address_that_is_not_public_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    with pytest.raises(ForbiddenTargetError, match=r"10\.0\.0\.1"):
        posting.post("https://both.example/", b"{}", {}, private=False)


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")))


def test_without_encryption_only_where_it_is_meant_so() -> None:
    with web_server() as server, pytest.raises(ForbiddenTargetError, match="https only"):
        posting.post(f"http://127.0.0.1:{server.port}/", b"{}", {}, private=False)
    assert server.items == []


def test_a_forbidden_or_unknown_target_is_not_tried_again() -> None:
    tell = alert_handler({"ops": Webhook("https://127.0.0.1/")})
    for target, said in (("ops", "not a public address"), ("opps", "Did you mean 'ops'")):
        params = tell.decode(json.dumps(NEWS.model_dump() | {"target": target}))
        with pytest.raises(FailPermanently) as refused:
            tell.invoke(params)
        assert said in refused.value.reason
