"""
Every deliberate error, with the HTTP status a dialect answers with.

* StorkError 500
  x BadRequest 400
    - MalformedBody        not JSON, not UTF-8, not the envelope
    - InvalidInstances     JSON, but not what the schema expects; carries every located Problem
  x Unauthorized 401       no key, or a wrong one
  x Forbidden 403          a key whose role does not allow this
  x NotFound 404
    - ModelNotFound
    - VersionNotFound
  x MethodNotAllowed 405
  x Conflict 409
    - GenerationConflict   somebody else changed the serving state first
    - ObjectChanged        somebody else wrote the object of a bucket first
    - RootNotWritable      this deployment has nowhere to keep a change
    - VersionBroken        a version failed its checks and must not serve
    - NotBlessed           a candidate is not good enough for what was asked
    - NotValid             rows are not what is expected of them
  x PayloadTooLarge 413
  x UnsupportedMediaType 415
  x TooManyRequests 429    says when to come again
    - QuotaExceeded        the caller's own allowance is used up
    - Overloaded           the queue of this process is full
  x BackendError 502       a backend failed, or answered something that is no prediction
    - ValuesRefused 400      the model's own graph does not take these values
    - BackendUnavailable 503
    - DeadlineExceeded 504
  x RootUnreachable 503    the bucket of the root does not answer
  x ConfigurationError     never during a request: the declaration or the environment is wrong
    - DeclarationError
    - SettingError
    - DataError            training rows are not what the declaration says
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one value of a request: where it is, what was expected, what was received."""

    path: str
    expected: str
    received: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, received {self.received}"


class StorkError(Exception):
    """
    The root: any error Stork raises on purpose. `status` is what HTTP answers.

    `prediction_id` is that of the request it ended, where it ended one.
    """

    status = 500
    prediction_id = ""


class BadRequest(StorkError):
    status = 400


class MalformedBody(BadRequest):
    """The body is not the JSON the route takes; the message says where it stops being so."""


class InvalidInstances(BadRequest):
    """
    Instances that the schema refuses.

    `problems` holds at most 20; `total` counts those found before the search stopped, so it can be larger.
    """

    def __init__(self, problems: list[Problem], total: int | None = None) -> None:
        self.problems = problems
        self.total = len(problems) if total is None else total
        more = f" (and {self.total - 1} more)" if self.total > 1 else ""
        super().__init__(f"{problems[0]}{more}")


class Unauthorized(StorkError):
    status = 401


class Forbidden(StorkError):
    status = 403


class NotFound(StorkError):
    status = 404


class ModelNotFound(NotFound):
    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no model named {name!r}; there is: {', '.join(known) or 'none'}")


class VersionNotFound(NotFound):
    """A version or an alias that the model does not have; the message names those it has."""

    def __init__(self, name: str, asked: str, known: list[str]) -> None:
        super().__init__(f"model {name!r} has no {asked}; there is: {', '.join(known) or 'none'}")


class MethodNotAllowed(StorkError):
    status = 405

    def __init__(self, allowed: str) -> None:
        self.allowed = allowed
        super().__init__(f"method not allowed here; allowed: {allowed}")


class Conflict(StorkError):
    status = 409


class GenerationConflict(Conflict):
    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            f"the serving state changed meanwhile: expected generation {expected}, found {found}; look and try again"
        )


class ObjectChanged(Conflict):
    """An object of a bucket is not of the generation that was to be replaced."""


class RootNotWritable(Conflict):
    """Nothing can be changed here; the message names the setting that gives changes a home."""


class VersionBroken(Conflict):
    """A version that must not take traffic; the message says which check failed."""


class NotBlessed(Conflict):
    """A candidate, or the data it would learn from, is not good enough; the message gives the reasons."""


class NotValid(Conflict):
    """Rows are not what is expected of them; the message names the anomalies and how to go on."""


class PayloadTooLarge(StorkError):
    status = 413


class UnsupportedMediaType(StorkError):
    status = 415


class TooManyRequests(StorkError):
    """`retry_after` is in seconds; dialects send it, rounded up, as Retry-After."""

    status = 429

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class QuotaExceeded(TooManyRequests):
    """
    A caller that asks more, or in quicker succession, than its key allows.

    `remaining`: what is left of the quota, which was too little; None where a spike limit refused.
    """

    def __init__(self, message: str, retry_after: float = 1.0, remaining: int | None = None) -> None:
        self.remaining = remaining
        super().__init__(message, retry_after)


class Overloaded(TooManyRequests):
    """More requests wait than this process will ever answer in time: refused at once, instead of late."""


class BackendError(StorkError):
    status = 502


class ValuesRefused(BackendError):
    """
    The model is well, and its graph refuses what it was asked: an index beyond a table, a string that is no number.

    The declaration lets through what the model does not take: a narrower domain would have said where and what.
    """

    status = 400


class BackendUnavailable(BackendError):
    status = 503


class DeadlineExceeded(BackendError):
    status = 504


class JobGoesOn(StorkError):
    """Nobody waits for a job any more, which goes on all the same; the message says how to follow it again."""

    status = 504


class JobFailed(BackendError):
    """A job elsewhere ended without success; the message has what the service says of it."""


class RootUnreachable(StorkError):
    """What is in the bucket of the root cannot be known now; what was known of it goes on serving."""

    status = 503


class ConfigurationError(StorkError):
    """The declaration or the environment is wrong: raised when Stork starts or a command runs, never by a request."""


class DeclarationError(ConfigurationError):
    """A model.toml that cannot be used; the message says where and what was expected."""


class SettingError(ConfigurationError):
    """A setting in the environment that cannot be used."""


class DataError(ConfigurationError):
    """A data file that cannot be read as the declaration says."""
