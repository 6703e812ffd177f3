"""The runtime that answers: what of a machine, its packages and the server's arguments may change a prediction."""

import hashlib
import platform
import re
from functools import lru_cache
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.store.runs import installed

# What is loaded where predictions are made; the packages of a backend only where it answers.
PACKAGES = ("numpy", "msgspec", "gunicorn", "httptools", "flask")
OF_BACKEND = {"litert": ("ai-edge-litert",), "saved_model": ("tensorflow-cpu", "tensorflow")}
# Instruction sets by which numeric libraries choose their code, of x86 and ARM.
VECTOR = re.compile(r"(sse|ssse|avx|fma|f16c|bmi|amx|neon|asimd|sve|i8mm|bf16)")


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an exam holds for: another runtime may answer other bits, or crash. Empty is what this system does not tell.

    `server` are the arguments that decide how requests meet the model; how many processes there are is none of them.
    """

    python: str
    libc: str
    machine: str
    cpu_flags: tuple[str, ...]
    packages: dict[str, str]
    backend: str
    server: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """Equal for equal runtimes."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

    def differences(self, here: "Runtime") -> list[str]:
        """A sentence for each way in which another runtime is not this one."""
        found = []
        for name, (tried, now) in paired(flatten(self), flatten(here)).items():
            if tried != now:
                found.append(f"{name}: examined with {tried or 'none'}, here {now or 'none'}")
        lost, gained = set(self.cpu_flags) - set(here.cpu_flags), set(here.cpu_flags) - set(self.cpu_flags)
        if lost or gained:
            listed = [f"without {flag}" for flag in sorted(lost)] + [f"with {flag}" for flag in sorted(gained)]
            found.append(f"processor: here {', '.join(listed)}")
        return found


def flatten(runtime: Runtime) -> dict[str, str]:
    """Every part that is one value, by a name for people."""
    plain = {
        "Python": runtime.python,
        "C library": runtime.libc,
        "machine": runtime.machine,
        "backend": runtime.backend,
    }
    return plain | runtime.packages | {f"server's {name}": value for name, value in runtime.server.items()}


def paired(left: dict[str, str], right: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (left.get(name, ""), right.get(name, "")) for name in left | right}


def runtime_here(settings: Settings, backend: str) -> Runtime:
    """The runtime of a server that is started here with these settings, and answers with this backend."""
    return Runtime(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libc=" ".join(platform.libc_ver()).strip(),
        machine=f"{platform.system()} {platform.machine()}",
        cpu_flags=cpu_flags(),
        packages=installed((*PACKAGES, *OF_BACKEND.get(backend, ()))),
        backend=backend,
        server={"kind": settings.server, "threads": str(settings.threads)},
    )


@lru_cache(maxsize=1)
def cpu_flags() -> tuple[str, ...]:
    """The processor's vector instruction sets, sorted; empty where the system does not list them (macOS)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ()
    listed = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return tuple(sorted(flag for flag in (listed[1].split() if listed else []) if VECTOR.match(flag)))
