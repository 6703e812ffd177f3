"""
Whether answering concurrent calls together pays, by backend: `make bench-batching`.

Threads of one process ask one instance at a time, with and without batching, in turns. TensorFlow answers in a process
of its own, as in a server; CPU time is that of both.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

SECONDS = 1.0
ROUNDS = 5


def measure(backend, tensors, threads: int, pid: int | None) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Calls per second, and microseconds of CPU per call, of this process and of the one with this id."""
    counts = [0] * threads
    until = time.monotonic() + SECONDS

    def ask(number: int) -> None:
        while time.monotonic() < until:
            backend.predict(tensors)
            counts[number] += 1

    began = time.process_time() + cpu_seconds(pid)
    running = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / SECONDS, (time.process_time() + cpu_seconds(pid) - began) / sum(counts) * 1e6


def cpu_seconds(pid: int | None) -> float:
    """What another process has used; 0 where there is none."""
    return 0.0 if pid is None else int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    """Print a row per backend and number of threads."""
    from stork.config import Settings
    from stork.evaluation.probe import probe_rows
    from stork.schema.frozen import load_schema
    from stork.serving.backends.litert import LiteRTBackend
    from stork.serving.backends.saved_model_process import ProcessBackend
    from stork.serving.backends.template import Template
    from stork.serving.batching import BatchingBackend
    from stork.store.registry import Registry

    with tempfile.TemporaryDirectory() as root:
        registry = Registry(Settings(root=Path(root)))
        name = registry.models()[0]
        folder = list(registry.versions(name).values())[-1]
    schema = load_schema(folder / "schema.json")
    tensors = probe_rows(schema, 1).tensors
    print(f"{'backend':<14}{'threads':>8}{'calls/s alone':>15}{'together':>10}{'CPU us alone':>14}{'together':>10}")
    template = Template()
    for make in (LiteRTBackend, lambda *model: ProcessBackend(*model, template)):
        plain = make(folder, schema)
        batching = BatchingBackend(plain, max_waiting=1000)
        for threads in (1, 4, 16, 32):
            rounds = [
                [measure(backend, tensors, threads, getattr(plain, "pid", None)) for backend in (plain, batching)]
                for _ in range(ROUNDS)
            ]
            alone = [median(r[0][i] for r in rounds) for i in (0, 1)]
            together = [median(r[1][i] for r in rounds) for i in (0, 1)]
            print(
                f"{plain.name:<14}{threads:>8}{alone[0]:>15,.0f}{together[0]:>10,.0f}"
                f"{alone[1]:>14.0f}{together[1]:>10.0f}"
            )


if __name__ == "__main__":
    main()
