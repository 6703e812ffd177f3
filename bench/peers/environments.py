"""A virtual environment per peer, made on first use below .venv, and again when its requirements change."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.measure import PROJECT, Unfit

# Resolved, since what pip writes into bin/ names the place for good.
ENVIRONMENTS = (PROJECT / ".venv").resolve() / "peers"
PEERS = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Environment:
    """The virtual environment of a peer, and beside it its log."""

    name: str
    requirements: Path

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        return ENVIRONMENTS / f"{self.name}.log"

    def install(self) -> None:
        """
        Make the environment, unless its stamp says that it is made of these very requirements.

        Raises:
            Unfit: it cannot be made; the message ends with pip's last line.
        """
        stamp = ENVIRONMENTS / f"{self.name}.stamp"
        wanted = self.requirements.read_text()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        print(f"installing {self.name} ...", file=sys.stderr)
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        self.run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        pip = (str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self.run(*pip, "-r", str(self.requirements))
        stamp.write_text(wanted)

    def prepare(self, model: Path, target: Path) -> None:
        """
        Have the peer's prepare.py, where it has one, turn the SavedModel into what the peer reads, in a new folder.

        Raises:
            Unfit: it failed; the message ends with its last line.
        """
        script = PEERS / self.name / "prepare.py"
        if script.exists():
            self.run(str(self.python), str(script), str(target), str(model))

    def run(self, *command: str) -> None:
        """Run a command to its end; Unfit if it fails."""
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
            raise Unfit(f"{' '.join(command[1:4])} failed: {said[-1][:300]}")

    def size(self) -> float:
        """What the environment takes on disk, MiB, as `du` counts."""
        return sum(path.lstat().st_blocks for path in self.folder.rglob("*")) * 512 / 2**20
