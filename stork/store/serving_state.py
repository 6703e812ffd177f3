"""The only mutable serving state of a model: aliases, the split of traffic between them, the shadow, the history."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from stork.errors import BadRequest

STABLE = "stable"
HISTORY = 100

Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]


class Shadow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version, or the version that an alias names, that answers a copy of `share` percent of the live requests."""

    version: int | None = None
    alias: str | None = None
    share: Percent = 100

    def __str__(self) -> str:
        named = f"version {self.version}" if self.alias is None else self.alias
        return f"{named}, {self.share}%"


class Change(msgspec.Struct, frozen=True):
    """
    One change of the state: `kind` says of what. `by` says through which door: cli, api, page, ramp.

    `before` and `after` are what it was and became, None where there was nothing: the version of the alias `alias`,
    the traffic by alias, or the shadow as plain data.
    """

    time: datetime
    alias: str
    before: int | dict[str, int | str] | None
    after: int | dict[str, int | str] | None
    by: str
    kind: Literal["alias", "traffic", "shadow"] = "alias"

    def __str__(self) -> str:
        return f"{self.alias or self.kind} from {self._say(self.before)} to {self._say(self.after)}, by {self.by}"

    def _say(self, value: Any) -> str:
        if self.kind == "traffic":
            return describe_traffic(value)
        if isinstance(value, dict):
            return str(msgspec.convert(value, Shadow))
        return "nothing" if value is None else str(value)


class ServingState(msgspec.Struct, frozen=True):
    """
    `serving/<name>.json`. `generation` counts its changes.

    `traffic` gives aliases their percents of the requests that ask for no version, 100 in all; None: all to stable.
    It names aliases, never versions, so a switch and a split cannot contradict each other. `unloaded` are the versions
    that do not answer by their number until somebody loads them again.
    """

    aliases: dict[str, int] = {}
    traffic: dict[str, int] | None = None
    shadow: Shadow | None = None
    unloaded: tuple[int, ...] = ()
    generation: int = 0
    history: list[Change] = []

    def __post_init__(self) -> None:
        if self.traffic is not None:
            check_percents(self.traffic)

    def changed(self, changes: list[Change], **parts: Any) -> "ServingState":
        """
        The next generation, with these parts replaced, and these changes at the end of its history.

        A version that is to serve is unloaded no longer.
        """
        history = [*self.history, *changes][-HISTORY:]
        after = msgspec.structs.replace(self, **parts, generation=self.generation + 1, history=history)
        serving = {*after.aliases.values(), *([after.shadow.version] if after.shadow else [])}
        return msgspec.structs.replace(after, unloaded=tuple(v for v in after.unloaded if v not in serving))


def note_change(
    kind: Literal["alias", "traffic", "shadow"], before: Any, after: Any, by: str, alias: str = ""
) -> Change:
    """A change made now."""
    plain = (msgspec.to_builtins(before), msgspec.to_builtins(after))
    return Change(datetime.now(UTC), alias, *plain, by, kind)


def describe_traffic(traffic: dict[str, int] | None) -> str:
    """As the command line takes it: `stable=90 canary=10`; None is `stable=100`."""
    return " ".join(f"{alias}={percent}" for alias, percent in ({STABLE: 100} if traffic is None else traffic).items())


def check_percents(traffic: dict[str, int]) -> None:
    """
    Raises:
        BadRequest: the percents are no percents, or are not 100 together.
    """
    if any(percent < 0 for percent in traffic.values()) or sum(traffic.values()) != 100:
        raise BadRequest(
            "traffic: expected whole percents from 0 that sum to 100, received "
            f"{describe_traffic(traffic) or 'none'} (sum {sum(traffic.values())})"
        )
