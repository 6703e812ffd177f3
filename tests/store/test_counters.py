"""Numbers counted by several processes: they add up, and never go back."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stork.config import PROJECT, Settings
from stork.store.counters import SharedCounters, deployment_folder, start_of

COUNT = """
import sys
from pathlib import Path
from stork.store.counters import SharedCounters

SharedCounters(Path(sys.argv[1])).publish({("a", "x"): [int(sys.argv[2]), 1]}, {("now",): [1]})
print("published", flush=True)
sys.stdin.read()
"""


def start(folder: Path, number: int) -> subprocess.Popen[bytes]:
    """A process that published its numbers, and lives until its stdin is closed."""
    command = [sys.executable, "-c", COUNT, str(folder), str(number)]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_processes_add_up_and_the_dead_are_remembered(tmp_path: Path) -> None:
    """A counter holds what every process counted, a gauge only what those alive are like."""
    here = SharedCounters(tmp_path)
    here.publish({("a", "x"): [1, 1], ("b",): [7]}, {})
    others = [start(tmp_path, 10), start(tmp_path, 20)]
    alive = here.total()
    end(others[0])
    one_dead = here.total()
    end(others[1])

    assert alive == ({("a", "x"): [31, 3], ("b",): [7]}, {("now",): [2]})
    assert one_dead == ({("a", "x"): [31, 3], ("b",): [7]}, {("now",): [1]})
    assert here.total()[0] == alive[0]


def test_a_dead_process_leaves_no_file_behind(tmp_path: Path) -> None:
    """Workers may be replaced for years: what they counted is folded into one file."""
    for number in range(3):
        end(start(tmp_path, number))
    counters, _ = SharedCounters(tmp_path).total()

    assert counters == {("a", "x"): [3, 3]}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "past.json"]


def test_a_reader_that_dies_while_folding_counts_nobody_twice(tmp_path: Path) -> None:
    """Between remembering a dead process and removing its file there may be a `kill -9`."""
    end(start(tmp_path, 5))
    (left,) = tmp_path.glob("*.json")
    content = left.read_bytes()
    SharedCounters(tmp_path).total()
    left.write_bytes(content)

    assert SharedCounters(tmp_path).total()[0] == {("a", "x"): [5, 1]}


def test_threads_that_publish_at_once_do_not_meet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A scraper asks while the second's numbers are written: both are, and nothing is said of files that are gone."""
    here = SharedCounters(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: here.publish({("a", "x"): [number, 1]}, {}), range(2000)))

    assert capfd.readouterr().err == "" and len(list(tmp_path.glob("*.json"))) == 1


def test_where_nothing_can_be_written_a_process_knows_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A full or read-only disk costs the siblings' numbers, one line on stderr, and nothing else."""
    (tmp_path / "file").touch()
    alone = SharedCounters(tmp_path / "file" / "folder")
    for number in (1, 2):
        alone.publish({("a",): [number]}, {})

    assert alone.total()[0] == {("a",): [2]}
    assert capfd.readouterr().err.count("metrics cannot be shared") == 1


def test_a_deployment_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Siblings over one root share it; another root, and whoever another parent started, has another."""
    mine = deployment_folder(Settings(root=tmp_path))
    code = "import sys, stork.store.counters as c, stork.config as s; print(c.deployment_folder(s.Settings()))"
    other = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert mine == deployment_folder(Settings(root=tmp_path)) != deployment_folder(Settings(root=tmp_path / "b"))
    assert f"/{os.getpid()}-{start_of(os.getpid())}-" in other.stdout


def test_what_an_ended_deployment_left_is_removed(tmp_path: Path) -> None:
    """A process of the same number that started at another time is not the same."""
    left = deployment_folder(Settings(root=tmp_path)).with_name(f"{os.getpid()}-1-00000000")
    left.mkdir(parents=True)
    deployment_folder(Settings(root=tmp_path))

    assert not left.exists()
