"""Params before the call, and the error hook after it."""

from contextvars import copy_context

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from scheduler.errors import CancelExecution, ControlFlow, ParamsError, RetryLater
from scheduler.handlers import BaseHandler, ExecutionContext, HandlerSpec, declare, describe_error
from scheduler.testing.isolation_contract import context


class Login(BaseModel):
    user: str
    password: SecretStr = Field(min_length=30)
    attempts: list[int] = []

    @field_validator("user")
    @classmethod
    def known(cls, user: str) -> str:
        if user == "nobody":
            raise ValueError("no such user")
        return user


def login(params: Login) -> str:
    return params.user


class Measure(BaseModel):
    size: float


def measured(params: Measure) -> float:
    return params.size


def plain(params: dict[str, object]) -> object:
    return params


def nothing() -> str:
    return "called"


def spec(target: object) -> HandlerSpec:
    assert callable(target)
    return declare("login", target, "here", {})


def call(target: object, params_text: str = "{}") -> object:
    """One attempt of a def, whose current execution doesn't outlive it."""
    return copy_context().run(spec(target).call, context(params_text))


def test_what_does_not_fit_is_told_by_field_and_never_by_value() -> None:
    params = '{"user": 7, "password": "hunter2", "attempts": [1, "x"]}'
    with pytest.raises(ParamsError) as refused:
        call(login, params)
    headline, trace = describe_error(refused.value)
    assert headline == (
        "ParamsError: The params don't fit handler 'login': user: Input should be a valid string; "
        "password: Value should have at least 30 items after validation, not 7; "
        "attempts.1: Input should be a valid integer, unable to parse string as an integer."
    )
    assert "hunter2" not in headline + trace
    assert refused.value.__context__ is None


def test_a_validator_of_the_model_speaks_in_its_own_words() -> None:
    with pytest.raises(ParamsError, match="user: Value error, no such user"):
        spec(login).decode('{"user": "nobody", "password": "' + "x" * 40 + '"}')


def test_many_problems_are_cut() -> None:
    with pytest.raises(ParamsError, match="and 41 more"):
        spec(login).decode('{"user": "a", "attempts": [' + ",".join(['"x"'] * 50) + "]}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "a list"), ("null", "null"), ("true", "a boolean"), ('"x"', "a string"), ("1.5", "a number")],
)
def test_a_handler_of_a_dict_takes_objects_only(text: str, kind: str) -> None:
    with pytest.raises(ParamsError, match=f"takes a JSON object as its params; this is {kind}"):
        spec(plain).decode(text)


def test_params_nested_too_deeply_are_a_fault_and_no_crash() -> None:
    deep = '{"a":' * 500 + "1" + "}" * 500
    assert spec(plain).decode(deep) != {}
    with pytest.raises(ParamsError, match="nested too deeply"):
        spec(plain).decode('{"a":' * 100_000 + "1" + "}" * 100_000)


@pytest.mark.parametrize("target", [plain, measured])
def test_a_number_that_python_would_read_as_infinite_is_a_fault(target: object) -> None:
    with pytest.raises(ParamsError, match="hold a number that Python can't"):
        spec(target).decode(f'{{"size": 1{"0" * 400}.5}}')
    with pytest.raises(ParamsError, match=r"4300|hold a number that Python can't"):
        spec(target).decode(f'{{"size": 1{"0" * 5000}}}')
    with pytest.raises(ParamsError, match="hold a number that Python can't"):
        spec(measured).decode(f'{{"size": 1{"0" * 400}}}')  # as jsonb has 1e400
    assert spec(measured).decode(f'{{"size": 1, "text": "1{"0" * 400}"}}').size == 1
    held = spec(plain).decode(f'{{"whole": 1{"0" * 400}, "text": "{"1" * 400}.5", "exact": {"1" * 300}.25}}')
    assert held == {"whole": 10**400, "text": "1" * 400 + ".5", "exact": float("1" * 300 + ".25")}


def test_a_handler_without_parameters_is_called_without() -> None:
    assert call(nothing, '{"ignored": 1}') == "called"


def test_empty_params_are_not_shared_between_attempts() -> None:
    first, second = call(plain), call(plain)
    assert first == second == {}
    assert first is not second


class Hooked(BaseHandler):
    answer: object = None

    def execute(self) -> None:
        raise ValueError("first")

    def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow | None:
        if isinstance(self.answer, Exception) and not isinstance(self.answer, ControlFlow):
            raise self.answer
        return self.answer  # type: ignore[return-value] # wrong answers are tried too


def outcome_of(answer_given: object) -> Exception:
    class Answering(Hooked):
        answer = answer_given

    with pytest.raises(Exception) as ended:  # noqa: PT011 - whatever it is, the tests look at it
        call(Answering)
    return ended.value


def test_the_hook_decides() -> None:
    decision = outcome_of(CancelExecution("gone"))
    assert isinstance(decision, CancelExecution)
    assert isinstance(decision.__cause__, ValueError)


def test_the_hook_may_leave_the_fault() -> None:
    assert isinstance(outcome_of(None), ValueError)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (KeyError("x"), "handle_error failed too: KeyError: 'x'"),
        (RetryLater, "handle_error failed too: TypeError: it returned type, not a ControlFlow or None"),
    ],
)
def test_a_broken_hook_does_not_hide_the_fault(answer: object, note: str) -> None:
    fault = outcome_of(answer)
    assert isinstance(fault, ValueError)
    assert fault.__notes__ == [note]
    assert note in describe_error(fault)[1]


def test_the_hook_is_not_asked_about_control_flow() -> None:
    class Deciding(BaseHandler):
        def execute(self) -> None:
            raise RetryLater(5)

        def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow | None:
            return CancelExecution("asked")

    with pytest.raises(RetryLater):
        call(Deciding)


async def test_the_hook_of_an_async_handler_may_be_a_def() -> None:
    class Careful(BaseHandler):
        async def execute(self) -> None:
            raise ValueError("first")

        def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow:
            return RetryLater(3, str(error))

    with pytest.raises(RetryLater, match="first"):
        await spec(Careful).call(context())
