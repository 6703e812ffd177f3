"""A second scenario, small and made up, that has every kind of feature: what a parcel costs to send."""

import tomllib
from pathlib import Path

import msgspec
import numpy as np

from stork.data.sources import Rows
from stork.declaration import Declaration, load_declaration

TOML = """
[model]
name = "parcels"
title = "What a parcel costs"

[[feature]]
name = "kilograms"
kind = "number"
range = [0, 30]

[[feature]]
name = "zone"
kind = "integer"
range = [1, 9]
required = false
tensor = { dtype = "int32", missing = -1 }

[[feature]]
name = "service"
kind = "category"
values = [{ value = "slow" }, { value = "fast" }]
tensor = { dtype = "string", shape = [-1, 1] }

[[feature]]
name = "insured"
kind = "boolean"
required = false
tensor = { missing = nan }

[[feature]]
name = "shop"
kind = "string"
required = false
tensor = { dtype = "string", missing = "" }

[[output]]
name = "cost"
range = [0, 100]
tensor = { shape = [-1, 1] }

[training]
label = "cost"
epochs = 8
batch_size = 64
learning_rate = 0.02
units = [8]

[evaluation]
slices = ["service", "insured"]

[serving.exam]
requests = 200
starts = 1

[sample]
label_given = ["kilograms", "service"]
tables = [
  { feature = "service" },
  { feature = "kilograms", given = ["service"] },
  { feature = "zone" },
  { feature = "insured" },
  { feature = "shop" },
]
"""

HEADER = "kilograms,zone,service,insured,shop,cost"


def parcels() -> Declaration:
    """The declaration, as if read from a file."""
    return msgspec.convert(tomllib.loads(TOML), Declaration)


def write_parcels(home: Path) -> Declaration:
    """The declaration as `home`/parcels/model.toml."""
    path = home / "parcels" / "model.toml"
    path.parent.mkdir(parents=True)
    path.write_text(TOML)
    return load_declaration(path)


def parcel_rows(count: int, seed: int = 0) -> Rows:
    """Rows whose cost is 2 + kilograms + 5 if fast, and a little noise; a fifth of `zone` and `insured` is missing."""
    random = np.random.default_rng(seed)
    kilograms = random.uniform(0, 20, count).round(2)
    fast = random.random(count) < 0.4
    missing = random.random((2, count)) < 0.2
    columns = {
        "kilograms": kilograms.tolist(),
        "zone": [None if m else int(z) for z, m in zip(random.integers(1, 10, count), missing[0], strict=True)],
        "service": ["fast" if f else "slow" for f in fast],
        "insured": [None if m else bool(i) for i, m in zip(random.integers(0, 2, count), missing[1], strict=True)],
        "shop": random.choice(["north", "south", ""], count).tolist(),
    }
    columns["shop"] = [shop or None for shop in columns["shop"]]
    label = 2 + kilograms + 5 * fast + random.normal(0, 0.1, count)
    return Rows(columns, label, ("made up",))


def write_csv(path: Path, rows: Rows) -> Path:
    """The rows as a CSV file with the header HEADER."""
    lines = [HEADER]
    for *values, cost in zip(*rows.columns.values(), rows.label.tolist(), strict=True):
        lines.append(",".join("" if v is None else str(v).lower() for v in (*values, cost)))
    path.write_text("\n".join(lines) + "\n")
    return path
