"""Two spans of parcels that TFDV and Stork are both asked about: `python tests/oracles/spans.py FOLDER` writes them."""

import sys
from pathlib import Path

from parcels import HEADER, parcel_rows, write_csv


def write_before(folder: Path) -> Path:
    """A thousand rows as they should be."""
    return write_csv(folder / "before.csv", parcel_rows(1000))


def write_after(folder: Path) -> Path:
    """Rows that are heavier and less insured, with a column more and one less, and values that nothing declares."""
    lines = write_csv(folder / "after.csv", parcel_rows(1500, seed=1)).read_text().splitlines()[1:]
    path = folder / "after.csv"
    header = [name for name in HEADER.split(",") if name != "shop"]
    path.write_text("\n".join([",".join([*header, "colour"]), *map(spoil, range(len(lines)), lines)]) + "\n")
    return path


def spoil(place: int, line: str) -> str:
    """One row of the second span."""
    kilograms, zone, service, insured, _, cost = line.split(",")
    kilograms = f"{float(kilograms) * (2 if place % 10 == 0 else 1.3):.2f}"
    zone = "" if place % 3 == 0 else zone
    service = "sail" if place % 20 == 0 else service
    insured = "maybe" if place % 50 == 0 else "false" if place % 4 == 0 else insured
    return ",".join([kilograms, zone, service, insured, cost, "red" if place % 2 else "blue"])


if __name__ == "__main__":
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    print(write_before(home), write_after(home))
