"""Finding handlers: every module of the folders and packages that the setting `handlers` lists.

A folder is imported as a package under its own dotted name (`handlers`, `src.jobs`), with or without `__init__.py`, so
that relative imports work and a `handlers/email.py` never takes the place of the standard `email`. Where something else
has that name already, the folder gets one of its own.
"""

import hashlib
import importlib
import keyword
import re
import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from scheduler.errors import ConfigurationError, did_you_mean
from scheduler.handlers.registry import HandlerRegistry, declared_in, forget


@dataclass(slots=True)
class _Opened:
    """What the last discovery put into sys.modules and sys.path, to be taken out by the next one."""

    packages: set[str] = field(default_factory=set)
    path: str | None = None


_opened = _Opened()


def discover(sources: Sequence[str], project: Path) -> HandlerRegistry:
    """Import the sources and return the handlers defined in them.

    A source is a folder, relative to `project`, or the dotted name of a module or package; either is taken with all
    modules below it, except those in files and folders that begin with `_`. `project` becomes importable.
    Raises ConfigurationError for a source that isn't there, a module that fails to import, and handlers that clash.
    """
    project = project.resolve()
    _start_anew(project)
    packages = [_import_source(source, project) for source in sources]
    return HandlerRegistry(declared_in(packages))


def _start_anew(project: Path) -> None:
    _unload(_opened.packages)
    _opened.packages.clear()
    if _opened.path in sys.path:
        sys.path.remove(_opened.path)
    _opened.path = None if str(project) in sys.path else str(project)
    if _opened.path:
        sys.path.insert(0, _opened.path)
    importlib.invalidate_caches()


def _unload(packages: Collection[str]) -> None:
    for name in [name for name in sys.modules if any(_is_at_or_below(name, package) for package in packages)]:
        del sys.modules[name]
    forget(packages)


def _is_at_or_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _import_source(source: str, project: Path) -> str:
    folder = (project / source).resolve()
    if folder.is_dir():
        return _import_folder(folder, project)
    if all(part.isidentifier() for part in source.split(".")):
        found = _find(source, project)
        if found is not None:
            _import_all(source, [Path(place) for place in found.submodule_search_locations or ()], project)
            return source
    folders = [path.name for path in project.iterdir() if path.is_dir()] if project.is_dir() else []
    raise ConfigurationError(
        f"The setting `handlers` lists {source!r}, which is neither a folder in {project} nor a module that can be "
        f"imported.{did_you_mean(source, folders)} Make the folder, or correct the setting."
    )


def _find(module: str, project: Path) -> ModuleSpec | None:
    """The module's spec. Its parents are imported on the way, and may fail."""
    try:
        return find_spec(module)
    except ModuleNotFoundError as error:
        if error.name and _is_at_or_below(module, error.name):
            return None
        raise _import_error(module, error, [project]) from error
    except (Exception, SystemExit) as error:
        raise _import_error(module, error, [project]) from error


def _import_folder(folder: Path, project: Path) -> str:
    package = _name_for(folder, project)
    loaded = sys.modules.get(package)
    if loaded is None or list(map(_real, loaded.__path__)) != [str(folder)]:
        _unload([package])  # another project's, found under the same name in this process before
        _open_package(package, folder)
    _import_all(package, [folder], project)
    return package


def _name_for(folder: Path, project: Path) -> str:
    parts = folder.relative_to(project).parts if folder.is_relative_to(project) else (folder.name,)
    name = ".".join(parts)
    if parts and all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        found = _find(name, project)
        if found is None or str(folder) in map(_real, found.submodule_search_locations or ()):
            return name
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9]', '_', folder.name)}_{digest}"


def _real(place: str) -> str:
    return str(Path(place).resolve())


def _open_package(name: str, folder: Path) -> None:
    """Make `folder`, and nothing else that is called so, the package `name`."""
    initial = folder / "__init__.py"
    if initial.is_file():
        spec = spec_from_file_location(name, initial, submodule_search_locations=[str(folder)])
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    _opened.packages.add(name)
    parent, _, child = name.rpartition(".")
    if parent:
        importlib.import_module(parent)
    package = sys.modules[name] = module_from_spec(spec)
    if parent:
        setattr(sys.modules[parent], child, package)
    if spec.loader is not None:
        try:
            spec.loader.exec_module(package)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise _import_error(name, error, [folder]) from error


def _import_all(package: str, folders: list[Path], project: Path) -> None:
    modules = [package, *(f"{package}.{module}" for folder in folders for module in _modules_in(folder))]
    for module in modules:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:
            raise _import_error(module, error, [*folders, project]) from error


def _modules_in(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts and not any(part.startswith(("_", ".")) for part in parts):
            yield ".".join(parts)


def _import_error(module: str, error: BaseException, folders: list[Path]) -> ConfigurationError:
    """Names the innermost line of the user's own code, which is where the correction belongs."""
    if isinstance(error, ConfigurationError):
        return ConfigurationError(f"The module {module} stops the start. {error}")
    if isinstance(error, SyntaxError) and error.filename:
        place, what = f"{error.filename}:{error.lineno}", f"{type(error).__name__}: {error.msg}"
    else:
        lines = traceback.extract_tb(error.__traceback__)
        own = [line for line in lines if _is_own(Path(line.filename), folders)]
        place = f"{own[-1].filename}:{own[-1].lineno}" if own else module
        what = f"{type(error).__name__}: {error}"
    return ConfigurationError(
        f"The handler module {module} can't be imported: {what} ({place}). "
        "Correct it, or take it out of what the setting `handlers` lists."
    )


def _is_own(file: Path, folders: list[Path]) -> bool:
    """A project often has its environment, with everybody's packages, inside."""
    return "site-packages" not in file.parts and any(file.is_relative_to(folder) for folder in folders)
