"""`email`: a file in outbox/, or a conversation with a mail server."""

import base64
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from scheduler.errors import FailPermanently, ParamsError
from tests.examples.conftest import Call
from tests.examples.smtp_server import SmtpServer

PARAMS = '{"to": "ada@example.com", "subject": "Grüße", "body": "It works.\\n.\\nReally."}'
MESSAGE_ID = "<execution-7.19700101000000@example.org>"


@pytest.fixture(autouse=True)
def sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", "The Shop <shop@example.org>")
    monkeypatch.delenv("SMTP_URL", raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `localhost`, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here to make a certificate with")
    file = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(file)]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = subprocess.run([openssl, "req", "-x509", "-days", "2", *key, *name], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + made.stdout)
    return file


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server shows to clients that trust it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmtpServer]:
    """One without encryption, for a client without a password."""
    async with SmtpServer().running() as server:
        monkeypatch.setenv("SMTP_URL", f"smtp://localhost:{server.port}")
        yield server


def read(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


class TestOutbox:
    async def test_it_is_a_message_that_a_mail_reader_opens(self, call: Call, folder: Path) -> None:
        result = (await call("email", PARAMS, id=7)).value
        assert result == {"message_id": MESSAGE_ID, "file": "outbox/7.eml"}
        message = read((folder / "outbox" / "7.eml").read_bytes())
        assert message["From"] == "The Shop <shop@example.org>"
        assert message["To"] == "ada@example.com"
        assert message["Subject"] == "Grüße"
        assert message["Message-ID"] == MESSAGE_ID
        assert message["Date"].datetime.year == 1970
        assert message.get_content() == "It works.\r\n.\r\nReally.\r\n"

    async def test_a_second_attempt_writes_the_same_bytes_to_the_same_place(self, call: Call, folder: Path) -> None:
        await call("email", PARAMS, id=7)
        first = (folder / "outbox" / "7.eml").read_bytes()
        await call("email", PARAMS, id=7, attempt=2)
        assert [file.name for file in (folder / "outbox").iterdir()] == ["7.eml"]
        assert (folder / "outbox" / "7.eml").read_bytes() == first

    async def test_an_address_is_enough(self, call: Call, folder: Path) -> None:
        await call("email", '{"to": ["a@example.com", "b@example.com"]}')
        assert read((folder / "outbox" / "1.eml").read_bytes())["To"] == "a@example.com, b@example.com"

    @pytest.mark.parametrize(
        "params",
        [
            "{}",
            '{"to": "nobody"}',
            '{"to": []}',
            '{"to": "a@example.com\\nBcc: b@example.com"}',
            '{"to": "a@example.com", "subject": "x\\r\\nBcc: b@example.com"}',
        ],
    )
    async def test_its_params_are_checked(self, call: Call, folder: Path, params: str) -> None:
        assert isinstance((await call("email", params)).error, ParamsError)
        assert not (folder / "outbox").exists()


class TestSmtp:
    async def test_it_is_delivered(self, call: Call, folder: Path, server: SmtpServer) -> None:
        assert (await call("email", PARAMS, id=7)).value == {"message_id": MESSAGE_ID}
        assert [command for command in server.commands if command.startswith(("mail", "rcpt"))] == [
            "mail FROM:<shop@example.org>",
            "rcpt TO:<ada@example.com>",
        ]
        (message,) = map(read, server.messages)
        assert message["Message-ID"] == MESSAGE_ID
        assert message.get_content() == "It works.\r\n.\r\nReally.\r\n"
        assert not (folder / "outbox").exists()

    async def test_with_several_recipients_one_may_be_refused(self, call: Call, server: SmtpServer) -> None:
        server.answers = {"rcpt TO:<b@": "550 no such user"}
        result = (await call("email", '{"to": ["a@example.com", "b@example.com"]}')).value
        assert result["refused"] == ["b@example.com"]
        assert len(server.messages) == 1

    @pytest.mark.parametrize("command", ["mail FROM", "rcpt TO", "data", "."])
    async def test_a_final_refusal_is_final(self, call: Call, server: SmtpServer, command: str) -> None:
        server.answers = {command: "550 never"}
        error = (await call("email", PARAMS)).error
        assert isinstance(error, FailPermanently)
        assert "never" in str(error)

    @pytest.mark.parametrize("command", ["mail FROM", "rcpt TO", "data", "."])
    async def test_a_passing_refusal_is_tried_again(self, call: Call, server: SmtpServer, command: str) -> None:
        server.answers = {command: "451 later"}
        error = (await call("email", PARAMS)).error
        assert error is not None
        assert not isinstance(error, FailPermanently)

    async def test_a_server_that_is_away_is_tried_again(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        async with SmtpServer().running() as gone:
            monkeypatch.setenv("SMTP_URL", f"smtp://localhost:{gone.port}")
        assert isinstance((await call("email", PARAMS)).error, ConnectionRefusedError)

    @pytest.mark.parametrize("url", ["localhost:25", "http://localhost", "smtp://"])
    async def test_a_url_that_is_none_says_what_to_write(
        self, call: Call, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        monkeypatch.setenv("SMTP_URL", url)
        error = (await call("email", PARAMS)).error
        assert isinstance(error, FailPermanently)
        assert "write smtp://user:password@host:587" in str(error)


class TestPassword:
    LOGIN = base64.b64encode(b"\0ada\0s/cret").decode()

    async def test_it_is_not_sent_in_the_clear(
        self, call: Call, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.extensions = ("AUTH PLAIN",)
        monkeypatch.setenv("SMTP_URL", f"smtp://ada:s%2Fcret@localhost:{server.port}")
        error = (await call("email", PARAMS)).error
        assert isinstance(error, FailPermanently)
        assert "offers no STARTTLS" in str(error)
        assert [command for command in server.commands if "AUTH" in command] == []

    @pytest.mark.parametrize(("scheme", "implicit"), [("smtp", False), ("smtps", True)])
    async def test_it_is_sent_encrypted(
        self, call: Call, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str, implicit: bool
    ) -> None:
        async with SmtpServer(tls=tls, implicit=implicit, extensions=("AUTH PLAIN",)).running() as server:
            monkeypatch.setenv("SMTP_URL", f"{scheme}://ada:s%2Fcret@localhost:{server.port}")
            assert (await call("email", PARAMS, id=7)).value == {"message_id": MESSAGE_ID}
        assert f"tls AUTH PLAIN {self.LOGIN}" in server.commands
        assert len(server.messages) == 1

    async def test_not_to_a_server_that_nobody_vouches_for(
        self, call: Call, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        async with SmtpServer(tls=tls, extensions=("AUTH PLAIN",)).running() as server:
            monkeypatch.setenv("SMTP_URL", f"smtp://ada:s%2Fcret@localhost:{server.port}")
            assert isinstance((await call("email", PARAMS)).error, ssl.SSLCertVerificationError)
        assert [command for command in server.commands if "AUTH" in command] == []
