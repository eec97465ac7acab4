"""What each key does."""

from dataclasses import replace

import pytest

from scheduler.cli.top.view import Deed, Order, View, chosen, help_of, pressed
from tests.cli.top.scenes import BUSY, EMPTY

ALL = View()


def after(*keys: str, view: View = ALL) -> View:
    for key in keys:
        view = pressed(key, view, BUSY)
    return view


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        (("c", "y"), Order(Deed.CANCEL, 91_034)),
        (("down", "j", "up", "c", "y"), Order(Deed.CANCEL, 91_040)),
        (("tab", "r", "Y"), Order(Deed.RETRY, 90_101)),
        (("left", "p", "y"), Order(Deed.PAUSE, "default")),
        (("left", "down", "down", "down", "p", "y"), Order(Deed.RESUME, "slow")),
        (("tab", "tab", "tab", "c", "y"), Order(Deed.CANCEL, 91_034)),
    ],
)
def test_what_is_agreed_to_is_to_be_done(keys: tuple[str, ...], order: Order) -> None:
    assert after(*keys).agreed == order


@pytest.mark.parametrize("keys", [("c", "n"), ("c", "q"), ("p",), ("r",), ("tab", "c"), ("x", "y")])
def test_anything_else_does_nothing(keys: tuple[str, ...]) -> None:
    view = after(*keys)
    assert (view.agreed, view.asking, view.over) == (None, None, False)


def test_a_question_names_what_it_is_about_though_the_list_moves_on() -> None:
    view = after("down", "c")
    assert help_of(view).startswith("Cancel execution 91040?")
    assert pressed("y", view, EMPTY).agreed == Order(Deed.CANCEL, 91_040)


def test_what_has_gone_is_not_chosen_any_more() -> None:
    view = after("down")
    assert chosen(view, BUSY) == 91_040
    left = replace(BUSY, running=[line for line in BUSY.running if line.id != 91_040])
    assert chosen(view, left) == 91_034
    assert chosen(view, EMPTY) is None
    assert pressed("down", view, EMPTY) == view
    assert pressed("c", view, EMPTY) == view


@pytest.mark.parametrize("key", ["q", "Q", "escape", "end"])
def test_it_ends(key: str) -> None:
    assert after(key).over
