"""`REDIS_HOST`, `REDIS_PORT`, `REDIS_DB` and `REDIS_PASSWORD`: where a `redis` driver without a url is."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

HOST: Final = "REDIS_HOST"
PORT: Final = "REDIS_PORT"
DB: Final = "REDIS_DB"
PASSWORD: Final = "REDIS_PASSWORD"
NAMES: Final = (HOST, PORT, DB, PASSWORD)

_RANGES: Final = {PORT: (1, 65_535), DB: (0, 1_000_000)}


def completed(tree: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The settings with a url for each redis driver that has none, and a problem for each variable that can't be used.

    Nothing is done without `REDIS_HOST`; the settings say then what is missing.
    """
    drivers = tree.get("drivers")
    if not isinstance(drivers, dict) or not any(_incomplete(driver) for driver in drivers.values()):
        return dict(tree), []
    if not (host := variables.get(HOST, "").strip()):
        return dict(tree), []
    problems = [problem for name in _RANGES if (problem := _problem(name, variables.get(name)))]
    url = _url(host, variables)
    filled = {name: {**driver, "url": url} if _incomplete(driver) else driver for name, driver in drivers.items()}
    return {**tree, "drivers": filled}, problems


def _incomplete(driver: object) -> bool:
    return isinstance(driver, dict) and driver.get("kind") == "redis" and "url" not in driver


def _problem(name: str, given: str | None) -> str | None:
    least, most = _RANGES[name]
    if given is None or (given.isdecimal() and least <= int(given) <= most):
        return None
    return f"{name} must be a whole number from {least} up to {most}, not {given[:40]!r}."


def _url(host: str, variables: Mapping[str, str]) -> str:
    password = variables.get(PASSWORD)
    login = f":{quote(password, safe='')}@" if password else ""
    place = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"redis://{login}{place}:{variables.get(PORT, '6379')}/{variables.get(DB, '0')}"
