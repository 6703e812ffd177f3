"""Which versions answer by their number, and which of them are loaded before anybody asks."""

from collections.abc import Iterable
from dataclasses import dataclass

from stork.declaration import VersionPolicy


@dataclass(frozen=True)
class Standing:
    """
    What `[serving.policy]` and the serving state say of the `versions` there are.

    It is about numbers alone: what an alias or the shadow names answers whatever is said here.
    """

    policy: VersionPolicy = VersionPolicy()
    versions: tuple[int, ...] = ()
    unloaded: frozenset[int] = frozenset()

    @property
    def kept(self) -> set[int]:
        """The versions that every process holds loaded."""
        return (select(self.policy, self.versions) or set()) - self.unloaded

    def refusal(self, version: int) -> str:
        """Why this version does not answer by its number; empty where it does."""
        chosen = select(self.policy, self.versions)
        if chosen is not None and version not in chosen:
            return f"is excluded by the policy {self.policy}"
        return "is unloaded" if version in self.unloaded else ""


def select(policy: VersionPolicy, versions: Iterable[int]) -> set[int] | None:
    """The versions, of those there are, that a policy chooses; None where there is no policy."""
    if policy.latest is not None:
        return set(sorted(versions)[-policy.latest.num_versions :])
    if policy.specific is not None:
        return set(policy.specific.versions).intersection(versions)
    return None if policy.all is None else set(versions)
