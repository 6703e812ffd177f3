"""The instances that all are asked: the version's golden requests that give every feature, over and over."""

import json
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from stork.config import Settings
from stork.schema.decode import Decoder
from stork.schema.frozen import load_schema
from stork.store.registry import Registry

SIZES = (1, 32, 1000)  # instances per body


@dataclass(frozen=True)
class Rows:
    """The same instances as JSON has them, and as the model takes them: columns of shape (n,)."""

    instances: list[dict[str, Any]]
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.instances)

    def split(self) -> "list[Rows]":
        """Each instance by itself."""
        return [
            Rows([instance], {name: column[i : i + 1] for name, column in self.columns.items()})
            for i, instance in enumerate(self.instances)
        ]


def newest_version(root: Path) -> Path:
    """The folder of the version that a Stork with this root answers from."""
    registry = Registry(Settings(root=root))
    return list(registry.versions(registry.models()[0]).values())[-1]


def read_rows(folder: Path) -> list[Rows]:
    """Instances for bodies of each size; neighbours differ, so that rows out of order show."""
    decoder = Decoder(load_schema(folder / "schema.json"), max(SIZES))
    golden = json.loads((folder / "golden.json").read_bytes())["instances"]
    whole = [instance for instance in golden if len(instance) == len(decoder.features)]
    drawn = [list(islice(cycle(whole), size)) for size in SIZES]
    return [Rows(instances, decoder.decode_parsed(instances).tensors) for instances in drawn]
