"""`scheduler jobs retry ID` with other params: given, or written in an editor."""

from typing import TYPE_CHECKING

import typer

from scheduler.cli.answers import tell_answers
from scheduler.cli.project import connected, warn_of_handler
from scheduler.cli.values import HIDDEN, json_text
from scheduler.errors import RefusedError, RightsError

if TYPE_CHECKING:
    from scheduler.operations.bulk import Answer
    from scheduler.operations.executions import Execution
    from scheduler.store.session import SyncSession


def retry_with(id_: int, params: str | None, *, as_json: bool) -> None:
    """Send it back with these params, or with what becomes of its own in an editor if they are None.

    Raises BadParameter for what isn't JSON, NotFoundError, and RightsError where its own may not be read.
    """
    from scheduler.operations.bulk import POSSIBLE, Action
    from scheduler.operations.executions import params_text, show

    if params is not None:
        json_text(params, "--params")
    with connected() as (project, session):
        execution = show(session, id_)
        possible = execution.status in POSSIBLE[Action.RETRY]
        answer = _edited(session, execution) if params is None and possible else _retry(session, id_, params)
        if answer is None:
            typer.echo(f"Nothing was changed: execution {id_} stays {execution.status}.", err=True)
            return
        if answer.why is None:
            warn_of_handler(project, execution.handler_name, params or params_text(session, id_))
    tell_answers(Action.RETRY, [answer], one_by_one=True, as_json=as_json)


def _retry(session: "SyncSession", id_: int, params: str | None) -> "Answer":
    from scheduler.operations.bulk import Action, act

    ((answer,),) = act(session, Action.RETRY, [id_], params=params)
    return answer


def _edited(session: "SyncSession", execution: "Execution") -> "Answer | None":
    """None: they were left as they are, or emptied."""
    from scheduler.cli.editor import edit_text
    from scheduler.operations.executions import params_text

    if execution.contents_hidden:
        raise RightsError(f"The params of execution {execution.id} are {HIDDEN}; write new ones with --params.")

    def apply(text: str) -> "Answer":
        try:
            return _retry(session, execution.id, json_text(text, "--edit"))
        except typer.BadParameter as error:
            raise RefusedError(error.message) from None

    original = params_text(session, execution.id)
    session.close()  # nobody's connection has to last while a person thinks
    return edit_text(f"{original}\n", f"params of execution {execution.id}", apply)
