"""Parcels that arrive span by span, and what the step `validate` says of them."""

from dataclasses import dataclass
from pathlib import Path

from listener import Listener
from parcels import HEADER, parcel_rows, write_csv, write_parcels

from stork.config import Settings
from stork.orchestration.runner import start
from stork.store.files import write_atomically
from stork.store.runs import RunRecord, newest_output

STEPS = ("ingest", "statistics", "validate")


@dataclass(frozen=True)
class Deployment:
    """A model of parcels with one span of 1,000 rows that is as expected; `lines` are those rows."""

    settings: Settings
    home: Path

    @classmethod
    def begin(cls, home: Path, **changes: str) -> "Deployment":
        """With the first span; in model.toml each `changes` key stands for the text that is its value."""
        settings = Settings(models=home / "model", root=home / "var", log="off")
        write_parcels(settings.models)
        made = cls(settings, home)
        path = settings.models / "parcels" / "model.toml"
        path.write_text(path.read_text() + "".join(f"\n[{key}]\n{text}\n" for key, text in changes.items()))
        data = write_csv(home / "rows.csv", parcel_rows(1000))
        start(settings, "parcels", STEPS, {"data": [str(data)]}, Listener())
        return made

    @property
    def lines(self) -> list[str]:
        return (self.home / "rows.csv").read_text().splitlines()[1:]

    def expect(self, text: str) -> None:
        write_atomically(self.settings.models / "parcels" / "data.toml", text.encode())

    def arrive(
        self, lines: list[str], header: str = HEADER, steps: tuple[str, ...] | list[str] = STEPS, **asked: object
    ) -> RunRecord:
        path = self.home / f"{len(list(self.home.iterdir()))}.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return self.take(path, steps, **asked)

    def take(self, path: Path, steps: tuple[str, ...] | list[str] = STEPS, **asked: object) -> RunRecord:
        return start(self.settings, "parcels", steps, {"data": [str(path)], **asked}, Listener())

    def told(self) -> str:
        folder = newest_output(self.settings, "parcels", "validate")
        assert folder is not None
        return (folder / "anomalies.txt").read_text()


def change(line: str, place: int, value: str) -> str:
    """The line with another value in one place."""
    cells = line.split(",")
    cells[place] = value
    return ",".join(cells)
