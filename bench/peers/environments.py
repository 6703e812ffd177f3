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
    """The virtual environment of a peer, and beside it what its prepare.py made and its log."""

    name: str
    requirements: Path

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def prepared(self) -> Path:
        """The folder that the peer's prepare.py fills."""
        return ENVIRONMENTS / f"{self.name}-prepared"

    @property
    def log(self) -> Path:
        return ENVIRONMENTS / f"{self.name}.log"

    def install(self) -> None:
        """
        Make the environment, unless a stamp as new as the requirements says that it is made.

        Raises:
            Unfit: it cannot be made; the message ends with pip's last line.
        """
        stamp = ENVIRONMENTS / f"{self.name}.stamp"
        if stamp.exists() and stamp.stat().st_mtime >= self.requirements.stat().st_mtime:
            return
        print(f"installing {self.name} ...", file=sys.stderr)
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        self.run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        pip = (str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self.run(*pip, "-r", str(self.requirements))
        stamp.touch()

    def prepare(self, model: Path) -> None:
        """
        Have the peer's prepare.py, where it has one, turn the SavedModel into what the peer reads.

        Raises:
            Unfit: it failed; the message ends with its last line.
        """
        script = PEERS / self.name / "prepare.py"
        if script.exists():
            self.run(str(self.python), str(script), str(self.prepared), str(model))

    def run(self, *command: str) -> None:
        """Run a command to its end."""
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PEER_MODEL": command[-1]}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
            raise Unfit(f"{' '.join(command[1:4])} failed: {said[-1][:300]}")

    def size(self) -> float:
        """What the environment takes on disk, MiB, as `du` counts."""
        return sum(path.lstat().st_blocks for path in self.folder.rglob("*")) * 512 / 2**20
