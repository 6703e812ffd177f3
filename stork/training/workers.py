"""The processes that train trials, several at a time, and what is said between them and the one that tunes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from threading import Lock

import msgspec

from stork.config import PROJECT, Settings
from stork.declaration import Training
from stork.errors import StorkError
from stork.training.study import Study, Trial

LOSSES = 3  # workers lost one after the other before it is no accident


class Assignment(msgspec.Struct, frozen=True):
    """The first line a worker reads: whose rows, the folder of the transform, how many threads it may use."""

    model: str
    spans: list[int]
    transform: str
    threads: int


class Heard(msgspec.Struct, frozen=True):
    """A line a worker writes: an epoch is over, or (epoch 0) the trial; `problem` says why it has no error."""

    epoch: int
    rmse: float | None = None
    problem: str = ""


class WorkerLost(Exception):
    """A worker ended in the middle of a trial; the text says how."""


class Worker:
    """
    A process that trains what it is sent, trial after trial.

    It reads an answer after every epoch, so that it ends by itself when nobody is there to answer.
    """

    def __init__(self, settings: Settings, assignment: Assignment) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # stderr: why it was lost, should it be; see close()
        environment = {**os.environ, **settings.environment(), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stork.training.trials"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,  # Ctrl-C is for the process that tunes, which ends its workers
        )
        self.send(assignment)

    def send(self, message: object) -> None:
        """
        Raises:
            WorkerLost: it is not there any more.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(msgspec.json.encode(message) + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise WorkerLost(self.last_words()) from error

    def hear(self) -> Heard:
        """
        Raises:
            WorkerLost: it is not there any more.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WorkerLost(self.last_words())
        return msgspec.json.decode(line, type=Heard)

    def train(self, training: Training, go_on: Callable[[int, float], bool]) -> Heard:
        """Have a model trained; `go_on` hears of every epoch's error, and says whether there shall be another one."""
        self.send(training)
        while (heard := self.hear()).epoch:
            assert heard.rmse is not None
            self.send(go_on(heard.epoch, heard.rmse))
        return heard

    def last_words(self) -> str:
        """How the process ended."""
        code = self.process.wait()
        if code < 0:
            return f"signal {-code}"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else f"exit code {code}"

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Let go of the pipes, once nobody listens any more."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self.errors.close()


class Crew:
    """So many workers as are declared, who share what is left to try."""

    def __init__(self, study: Study, hire: Callable[[], Worker], count: int, told: Callable[[str], None]) -> None:
        self.study, self.hire, self.told = study, hire, told
        self.left, self.losses = count, 0
        self.lock, self.stopped = Lock(), False
        self.workers: list[Worker] = []

    def work(self, workers: int) -> None:
        """
        Try so many values as there are to try, in so many processes at a time.

        Raises:
            StorkError: one worker after the other was lost.
        """
        try:
            with ThreadPoolExecutor(workers) as pool:
                try:
                    for future in as_completed([pool.submit(self.serve) for _ in range(min(workers, self.left))]):
                        future.result()
                finally:
                    self.dismiss()  # only then do threads that wait for a worker come to their end
        finally:
            for worker in self.workers:
                worker.close()

    def dismiss(self) -> None:
        """End every worker; there will be no other."""
        with self.lock:
            self.stopped = True
            for worker in self.workers:
                worker.kill()

    def serve(self) -> None:
        """One worker's trials, one after the other; where it is lost another takes its place."""
        worker = None
        while self.take_one():
            trial = self.study.ask()
            try:
                worker = worker or self.take_on()
                self.run_trial(worker, trial)
            except WorkerLost as error:
                worker = None
                self.study.tell(trial, "failed")
                self.give_back(trial, str(error))

    def run_trial(self, worker: Worker, trial: Trial) -> None:
        """One trial, until it is over or not worth going on with."""
        last = 0

        def go_on(epoch: int, rmse: float) -> bool:
            nonlocal last
            last = epoch
            return self.study.report(trial, epoch, rmse)

        heard = worker.train(trial.training, go_on)
        if heard.rmse is None:
            self.study.tell(trial, "pruned")
            self.told(f"trial {trial.number}: {heard.problem or f'pruned after epoch {last}'}")
        else:
            self.study.tell(trial, "complete", heard.rmse)
            self.told(f"trial {trial.number}: RMSE {heard.rmse:.4f} on eval after {last} epochs")
        self.losses = 0

    def take_on(self) -> Worker:
        """
        A new worker.

        Raises:
            WorkerLost: no one works here any more.
        """
        with self.lock:
            if self.stopped:
                raise WorkerLost("the search is over")
            self.workers.append(self.hire())
            return self.workers[-1]

    def take_one(self) -> bool:
        """Whether there is one more to try."""
        with self.lock:
            self.left -= 1
            return self.left >= 0 and not self.stopped

    def give_back(self, trial: Trial, reason: str) -> None:
        """
        Count a trial whose worker was lost as not tried.

        Raises:
            StorkError: too many were lost.
        """
        with self.lock:
            if self.stopped:
                return
            self.left += 1
            self.losses += 1
            if self.losses >= LOSSES:
                raise StorkError(f"trial {trial.number}: its worker was lost, the {LOSSES}rd in a row: {reason}")
        self.told(f"trial {trial.number}: its worker was lost ({reason}); another one takes its place")
