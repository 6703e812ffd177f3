"""Whom a request is for: read before it is known which schema the request must meet."""

from typing import Any

import msgspec

from stork.declaration import Entity
from stork.serving.ask import Ask


class EntityReader:
    """
    Reads what identifies whom a request is for: a header, or one feature of the first instance.

    Whatever cannot be read is no key: the schema of the version that answers says what is wrong with it.
    """

    def __init__(self, entity: Entity) -> None:
        self._header = entity.header
        self.feature = "" if entity.header else entity.feature
        key = msgspec.defstruct("Key", [("value", Any, None)], rename={"value": self.feature})
        self._one = msgspec.json.Decoder(key)
        self._many = msgspec.json.Decoder(list[key])  # type: ignore[valid-type]
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def read(self, ask: Ask) -> bytes:
        """The header, or the value as JSON, 1.0 as 1; empty where it is missing or the request is no request."""
        if self._header:
            return ask.context.header(self._header).encode("utf-8", "surrogatepass")
        if not self.feature:
            return b""
        try:
            value = self._find(ask)
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            return b"" if value in (None, "") else self._encode(value)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, AttributeError, LookupError, TypeError):
            return b""

    def _find(self, ask: Ask) -> Any:
        given: Any = ask.instances
        if isinstance(given, bytes):
            return self._one.decode(given).value if ask.single else self._many.decode(given)[0].value  # type: ignore[attr-defined]
        return (given if ask.single else given[:1][0]).get(self.feature)
