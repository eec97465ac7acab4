"""Files and variables → one tree → `Settings`, or one message with every problem."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scheduler.config.database import PLACE
from scheduler.config.problems import Origins, sentences
from scheduler.config.redis_variables import completed
from scheduler.config.settings import SECTIONS, Settings, WorkerSettings
from scheduler.config.variables import (
    DOTENV,
    JOB_URL,
    Variables,
    misspelt,
    read,
    read_dotenv,
    section_of,
    variable_name,
)
from scheduler.config.yaml_files import merge, read_files
from scheduler.errors import ConfigurationError

Tree = dict[str, Any]


def load_settings(project: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """The settings of the project in the folder `project` (default: the current one) under `env` (default: ours).

    Raises ConfigurationError with one line per problem: where it stands, and what to write there.
    """
    project = project or Path.cwd()
    environment = os.environ if env is None else env
    in_environment = read(environment)
    in_dotenv = read_dotenv(project)
    variables = in_dotenv | in_environment

    files = read_files(project)
    written, clashes = merge(files.documents)
    overrides = Variables(variables, written)()
    job = _job_database(overrides, written)
    problems = [*files.problems, *clashes, *misspelt(variables)]
    if JOB_URL in variables:
        problems.extend(_rivals(variables, job))
        overrides = _overlaid(overrides, {"databases": {job: {"url": variables[JOB_URL]}}})
    tree, unusable = completed(_overlaid(_without_replaced_places(written, overrides), overrides), variables)
    problems.extend(unusable)

    used = [project / document.name for document in files.documents]
    if any(name == JOB_URL or section_of(name) in SECTIONS for name in in_dotenv):
        used.append(project / DOTENV)
    origins = Origins(
        documents=files.documents,
        variables={name: "" if name in in_environment else f" (in {DOTENV})" for name in variables},
        job_url_path=("databases", job, "url") if JOB_URL in variables else None,
    )
    try:
        settings = Settings(**tree, sources=tuple(used), ignored=tuple(files.ignored))
    except ValidationError as error:
        problems.extend(sentences(error, origins))
    if problems:
        raise ConfigurationError(_message(problems))
    return settings


def _job_database(*trees: Tree) -> str:
    """The name of the job database, before anything has been checked."""
    for tree in trees:
        worker = tree.get("worker")
        if isinstance(worker, dict) and isinstance(name := worker.get("database"), str):
            return name
    return WorkerSettings().database


def _rivals(variables: Mapping[str, str], job: str) -> Iterator[str]:
    for key in PLACE:
        name = variable_name(("databases", job, key))
        if name in variables and key != "direct_url":
            yield f"{JOB_URL} and {name} both say where the database {job!r} is: keep one of them."


def _without_replaced_places(written: Tree, overrides: Tree) -> Tree:
    """A URL from a variable replaces an address in a file as a whole: never a new host with an old password."""
    databases, replaced = written.get("databases"), overrides.get("databases")
    if not isinstance(databases, dict) or not isinstance(replaced, dict):
        return written
    kept = {}
    for name, database in databases.items():
        given = replaced.get(name)
        if isinstance(database, dict) and isinstance(given, dict) and "url" in given:
            kept[name] = {key: value for key, value in database.items() if key not in PLACE}
        else:
            kept[name] = database
    return {**written, "databases": kept}


def _overlaid(tree: Tree, over: Tree) -> Tree:
    """`tree` with what `over` says instead, mapping by mapping."""
    result = dict(tree)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _overlaid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _message(problems: list[str]) -> str:
    lines = list(dict.fromkeys(problem if problem.endswith((".", "?")) else f"{problem}." for problem in problems))
    if len(lines) == 1:
        return lines[0]
    return "\n".join((f"The settings have {len(lines)} problems:", *(f"  - {line}" for line in lines)))
