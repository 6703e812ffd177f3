"""
Running what others wrote (a model's own operations, the converter) in a process that may die, hang or grow.

As a program, `python -m stork.evaluation.limited ARGUMENTS` is `python ARGUMENTS` within the memory limit, and not for
longer than the process that started it.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from stork.config import PROJECT
from stork.errors import StorkError

GIGABYTES = 8
PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
REASON_LENGTH = 1000


def run_limited(module: str, arguments: list[str], seconds: float, settings: Mapping[str, str] | None = None) -> str:
    """
    Run `python -m module arguments`, a module that calls `end_process`; why it failed, empty when it did not.

    The process gets 8 GiB of its own memory where the system enforces that (Linux does), no GPU, and `settings` in
    its environment.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **(settings or {}), "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {seconds:g} s"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"it crashed (signal {-done.returncode})"
    return done.stdout.strip()[-REASON_LENGTH:] or last_line(done.stderr)


def last_line(text: str) -> str:
    """The last line of a traceback: the exception and its message."""
    lines = text.strip().splitlines()
    return lines[-1][:REASON_LENGTH] if lines else "it ended without a word"


def end_process(work: Callable[[list[str]], None]) -> NoReturn:
    """
    What such a module does as a program: its work within the memory limit; a deliberate error goes to stdout.

    It ends when who started it is killed, so that nothing is written to a folder that the next try has begun anew.
    """
    limit_memory()
    end_with_parent()
    code = 0
    try:
        work(sys.argv[1:])
    except StorkError as error:
        print(error)
        code = 1
    sys.stdout.flush()
    os._exit(code)  # a model's threads must not keep the process


def limit_memory() -> None:
    """Let this process, and those it starts, have 8 GiB of their own memory each, where the system enforces that."""
    limit = GIGABYTES << 30
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def end_with_parent() -> None:
    """Let the system kill this process when its parent ends, also if that is killed; Linux can, others do not."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    limit_memory()
    end_with_parent()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
