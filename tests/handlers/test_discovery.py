"""Finding handlers in folders and modules."""

import email
import re
import sys
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from textwrap import dedent

import pytest

from scheduler.errors import ConfigurationError
from scheduler.handlers import HandlerRegistry, discover
from scheduler.handlers.registry import _declared
from scheduler.testing.isolation_contract import context

Write = Callable[..., Path]

ONE = """
    from scheduler import handler

    @handler("{name}")
    def run():
        return "{value}"
"""


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """What discovery puts into the process is taken out again."""
    path, modules, declared = list(sys.path), dict(sys.modules), dict(_declared)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]
    _declared.clear()
    _declared.update(declared)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(path: str, text: str = ONE, **values: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text.format(**values) if values else text))
        return file

    return write


def value(registry: HandlerRegistry, name: str) -> object:
    return registry.get(name).invoke({})


def test_every_module_of_a_folder_is_found_however_deep(tmp_path: Path, write: Write) -> None:
    write("handlers/email.py", name="email", value="1")
    write("handlers/billing/invoice.py", name="invoice", value="2")
    write("handlers/billing/eu/vat.py", name="vat", value="3")
    write("handlers/shop/__init__.py", name="shop", value="4")
    write("handlers/billing/sql/total.sql", "SELECT 1")
    registry = discover(["handlers"], tmp_path)
    assert registry.names == ["email", "invoice", "shop", "vat"]
    assert value(registry, "vat") == "3"
    assert registry.get("email").where == f"{tmp_path}/handlers/email.py:4"


def test_the_standard_module_of_the_same_name_stays(tmp_path: Path, write: Write) -> None:
    write("handlers/email.py", name="email", value="1")
    write("email/send.py", name="send", value="2")
    assert discover(["handlers", "email"], tmp_path).names == ["email", "send"]
    assert sys.modules["email"] is email
    assert not hasattr(email, "send")


def test_what_begins_with_an_underscore_waits_to_be_imported(tmp_path: Path, write: Write) -> None:
    write("handlers/_draft.py", "raise RuntimeError")
    write("handlers/_old/gone.py", "raise RuntimeError")
    write("handlers/.cache/gone.py", "raise RuntimeError")
    write("handlers/_shared.py", name="shared", value="1")
    write("handlers/report.py", "from ._shared import run")
    assert discover(["handlers"], tmp_path).names == ["shared"]


@pytest.mark.parametrize("initial", [True, False])
def test_relative_and_absolute_imports_meet_the_same_module(tmp_path: Path, write: Write, initial: bool) -> None:
    if initial:
        write("handlers/__init__.py", "")
        write("handlers/billing/__init__.py", "")
    write("handlers/billing/model/invoice.py", "class Invoice: ...")
    write("handlers/shared.py", "LIMIT = 7")
    write("rates.py", "VAT = 0.2")
    write(
        "handlers/billing/bill.py",
        """
        import handlers.shared
        import rates
        from scheduler import handler
        from .model.invoice import Invoice
        from ..shared import LIMIT
        from handlers.billing.model.invoice import Invoice as Same

        @handler("bill")
        def bill():
            return Invoice is Same, LIMIT, handlers.shared.LIMIT, rates.VAT
        """,
    )
    assert value(discover(["handlers"], tmp_path), "bill") == (True, 7, 7, 0.2)


def test_a_folder_below_others_has_its_dotted_name(tmp_path: Path, write: Write) -> None:
    write("src/app/__init__.py", "")
    write("src/app/jobs/one.py", name="one", value="1")
    registry = discover(["src/app/jobs"], tmp_path)
    assert registry.get("one").module == "src.app.jobs.one"


def test_folders_outside_of_the_project_and_with_odd_names(tmp_path: Path, write: Write) -> None:
    write("project/handlers/one.py", name="one", value="1")
    write("elsewhere/handlers/two.py", name="two", value="2")
    write("project/my-jobs/three.py", name="three", value="3")
    write("project/class/four.py", name="four", value="4")
    sources = ["handlers", str(tmp_path / "elsewhere/handlers"), "my-jobs", "class", "./handlers"]
    assert discover(sources, tmp_path / "project").names == ["four", "one", "three", "two"]


def test_modules_and_packages_by_their_dotted_names(tmp_path: Path, write: Write) -> None:
    write("jobs.py", name="single", value="1")
    write("company/__init__.py", "")
    write("company/jobs/__init__.py", name="package", value="2")
    write("company/jobs/deep/below.py", name="below", value="3")
    write("company/other.py", name="other", value="4")
    assert discover(["jobs", "company.jobs"], tmp_path).names == ["below", "package", "single"]


def test_only_handlers_defined_in_the_sources_count(tmp_path: Path, write: Write) -> None:
    write("library.py", name="library", value="1")
    write("handlers/one.py", "import library\nfrom library import run")
    assert discover(["handlers"], tmp_path).names == []
    assert discover(["handlers", "library"], tmp_path).names == ["library"]


def test_a_second_look_sees_what_changed(tmp_path: Path, write: Write) -> None:
    file = write("handlers/one.py", name="one", value="before")
    write("handlers/two.py", name="two", value="2")
    before = discover(["handlers"], tmp_path)
    write("handlers/one.py", name="one", value="afterwards")
    (file.parent / "two.py").unlink()
    after = discover(["handlers"], tmp_path)
    assert after.names == ["one"]
    assert (value(before, "one"), value(after, "one")) == ("before", "afterwards")


def test_another_project_does_not_meet_the_first(tmp_path: Path, write: Write) -> None:
    write("a/handlers/one.py", name="one", value="a")
    write("b/handlers/two.py", "import handlers.one")
    write("b/handlers/three.py", name="three", value="b")
    assert discover(["handlers"], tmp_path / "a").names == ["one"]
    with pytest.raises(ConfigurationError, match=r"No module named 'handlers\.one'"):
        discover(["handlers"], tmp_path / "b")
    (tmp_path / "b/handlers/two.py").unlink()
    assert discover(["handlers"], tmp_path / "b").names == ["three"]
    assert str(tmp_path / "a") not in sys.path


def test_the_same_name_twice_names_both_places(tmp_path: Path, write: Write) -> None:
    write("handlers/a.py", name="email", value="1")
    write("handlers/b.py", name="email", value="2")
    with pytest.raises(ConfigurationError, match=r"'email': one at .*handlers/a\.py:4, one at .*handlers/b\.py:4"):
        discover(["handlers"], tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\nimport nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found' ({file}:2)"),
        ("def broken(:\n", "SyntaxError: invalid syntax ({file}:1)"),
        ("\n\nraise ValueError('no key')", "ValueError: no key ({file}:3)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 ({file}:2)"),
        ("import json\n\njson.loads('x')", "({file}:3)"),
    ],
)
def test_a_module_that_fails_stops_the_start_and_is_named(tmp_path: Path, write: Write, text: str, told: str) -> None:
    write("handlers/a_fine.py", name="fine", value="1")
    file = write("handlers/broken.py", text)
    with pytest.raises(ConfigurationError, match=re.escape(told.format(file=file))) as refused:
        discover(["handlers"], tmp_path)
    assert str(refused.value).startswith("The handler module handlers.broken can't be imported: ")
    file.write_text("")
    assert discover(["handlers"], tmp_path).names == ["fine"]


def test_the_line_at_fault_is_named_even_in_another_module(tmp_path: Path, write: Write) -> None:
    shared = write("handlers/_shared.py", "value = missing")
    write("handlers/one.py", "from ._shared import value")
    with pytest.raises(ConfigurationError, match=re.escape(f"NameError: name 'missing' is not defined ({shared}:1)")):
        discover(["handlers"], tmp_path)


@pytest.mark.parametrize("name", ["handlers/__init__.py", "handlers/group/__init__.py"])
def test_a_package_that_fails_is_named_too(tmp_path: Path, write: Write, name: str) -> None:
    file = write(name, "1 / 0")
    with pytest.raises(ConfigurationError, match=re.escape(f"ZeroDivisionError: division by zero ({file}:1)")):
        discover(["handlers"], tmp_path)


def test_what_the_decorator_refuses_is_told_in_its_words(tmp_path: Path, write: Write) -> None:
    write("handlers/one.py", "from scheduler import handler\n\n@handler('one', timout=3)\ndef one(): ...")
    told = r"handlers\.one stops the start\. Handler 'one' \(.*one\.py:3\) has no option"
    with pytest.raises(ConfigurationError, match=told):
        discover(["handlers"], tmp_path)


def test_a_source_that_is_not_there(tmp_path: Path, write: Write) -> None:
    write("handlers/one.py", name="one", value="1")
    for source in ("handlrs", "./handlrs", "no.such.module", "handlers/one.py", "handlrs\n"):
        with pytest.raises(ConfigurationError, match="setting `handlers` lists"):
            discover([source], tmp_path)
    with pytest.raises(ConfigurationError, match="Did you mean 'handlers'"):
        discover(["handlrs"], tmp_path)
    with pytest.raises(ConfigurationError, match="setting `handlers` lists"):
        discover(["jobs"], tmp_path / "nowhere")


def test_a_handler_from_a_folder_runs(tmp_path: Path, write: Write) -> None:
    write(
        "handlers/mail.py",
        """
        from pydantic import BaseModel
        from scheduler import BaseHandler, handler

        class Mail(BaseModel):
            to: str

        @handler("mail", max_retry=5)
        class MailHandler(BaseHandler):
            def execute(self, params: Mail) -> dict:
                return {"sent": params.to}
        """,
    )
    registry = discover(["handlers"], tmp_path)
    execution = context('{"to": "a@example.com"}')
    assert copy_context().run(registry.get("mail").call, execution) == {"sent": "a@example.com"}
    assert registry.policies_json() == {"mail": {"max_retry": 5}}
