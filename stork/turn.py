"""
The turn: one thread of a server process at a time receives requests, and answers each itself at once.

Handing a request to another thread costs more than most answers do. So who has the turn keeps it, and passes it on only
when about to wait: for a service, another process, a load. Under a server that works in another way nothing is passed.
"""

import threading
from collections.abc import Callable


def keep() -> None:
    """Where no turns are taken."""


class Held(threading.local):
    """What passes on the turn of this thread."""

    pass_on: Callable[[], None] = staticmethod(keep)


_held = Held()


def take_turns(pass_on: Callable[[], None]) -> None:
    """Let `pass_turn` do this in the current thread, however often it is called and whether it has the turn or not."""
    _held.pass_on = pass_on


def pass_turn() -> None:
    """Say that this thread is about to wait, or to compute for long: another receives meanwhile."""
    _held.pass_on()
