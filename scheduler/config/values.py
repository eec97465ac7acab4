"""The kinds of values that settings have, and the base of every section."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator


class Section(BaseModel):
    """A mapping of settings: frozen, without unknown keys. An attribute's docstring is its line in docs/settings.md."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_in_yaml(cls, given: Any) -> Any:
        """A key with nothing below it is null to YAML and an empty section to its author."""
        return {} if given is None else given


def a_number(given: object) -> object:
    """YAML's `yes`, `on` and `true` are 1 to Python."""
    if isinstance(given, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic collects ValueErrors only
    return given


def _filled(given: object) -> object:
    """An empty value where an address belongs is a secret that got lost, never the wish for a default."""
    if given is None or (isinstance(given, str) and not given.strip()):
        raise ValueError("is empty: write its value, or remove the key")
    return given.strip() if isinstance(given, str) else given


def _listed(given: object) -> object:
    """Variables can't hold a list; names with commas between them are one."""
    return [name for part in given.split(",") if (name := part.strip())] if isinstance(given, str) else given


def _distinct(names: list[str]) -> list[str]:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise ValueError(f"names {twice!r} twice; write it once")
    return names


def _lower(given: object) -> object:
    return given.lower() if isinstance(given, str) else given


def _processes(given: object) -> object:
    """A number, or two with dots between them."""
    if isinstance(given, int):
        return given
    least, dots, most = str(given).replace(" ", "").partition("..")
    if not (least.isdecimal() and (most.isdecimal() if dots else True)):
        raise ValueError(f"must be a number of processes, or two such as 2..8, not {given!r}")
    if not dots:
        return int(least)
    if not 1 <= int(least) <= int(most):
        raise ValueError(f"must be a range from 1 up, such as 2..8, not {given!r}")
    return f"{int(least)}..{int(most)}"


def _not_too_many(given: int | str) -> int | str:
    if not 0 <= int(str(given).rpartition(".")[2]) <= _MOST_PROCESSES:
        raise ValueError(f"must be from 0 up to {_MOST_PROCESSES}, not {given!r}")
    return given


_MOST_PROCESSES = 1_000
Count = Annotated[int, BeforeValidator(a_number), Field(ge=1, le=10_000)]
Processes = Annotated[int | str, BeforeValidator(a_number), BeforeValidator(_processes), AfterValidator(_not_too_many)]
Seconds = Annotated[float, BeforeValidator(a_number), Field(gt=0, le=86_400)]
SecondsOrZero = Annotated[float, BeforeValidator(a_number), Field(ge=0, le=86_400)]
WholeSeconds = Annotated[int, BeforeValidator(a_number), Field(ge=2, le=3_600)]
Kept = Annotated[int, BeforeValidator(a_number), Field(ge=0, le=1_000_000_000)]
Days = Annotated[float, BeforeValidator(a_number), Field(gt=0, le=36_500)]
Text = Annotated[str, BeforeValidator(_filled)]
# None stands for a key that isn't written; written and empty, it is refused.
MaybeText = Annotated[str | None, BeforeValidator(_filled)]
MaybeSecret = Annotated[SecretStr | None, BeforeValidator(_filled)]
MaybePort = Annotated[int | None, BeforeValidator(a_number), BeforeValidator(_filled), Field(ge=1, le=65_535)]
Port = Annotated[int, BeforeValidator(a_number), Field(ge=0, le=65_535)]
Names = Annotated[list[Text], BeforeValidator(_listed), AfterValidator(_distinct)]
lower_case = BeforeValidator(_lower)
