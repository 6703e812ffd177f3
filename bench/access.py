"""What letting a request in costs, in microseconds on one core; with a Redis server too where its address is given."""

import dataclasses
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stork.access.gate import Gate
from stork.access.key_store import KeyStore
from stork.config import Settings
from stork.web.admission import Admission, limit_headers
from stork.web.door import header_reader

MANY = "1000000000/day"


def show(what: str, ask: Callable[[], object], count: int) -> None:
    """The best of five rounds: the others were disturbed."""
    print(f"{what:<36} {min(timeit.repeat(ask, number=count, repeat=5)) / count * 1e6:8.2f} us")


def measure(settings: Settings, count: int, where: str) -> None:
    """A request without a key, with one, and with one that has limits."""
    admission = Admission(Gate(settings), settings)
    store = KeyStore(settings.root)

    def asking(token: str) -> Callable[[], object]:
        environ = {"PATH_INFO": "/api/predict"} | ({"HTTP_X_API_KEY": token} if token else {})
        header = header_reader(environ)
        return lambda: let_in(admission, environ, header)

    limited = store.create("limited", "predict", requests=MANY, rows=MANY)[1]
    caller = admission.gate.sign_in(limited)
    show("no key", asking(""), count)
    show("a key without limits", asking(store.create("free", "predict")[1]), count)
    show(f"a key with a quota of requests{where}", asking(limited), count)
    show(f"its rows{where}", lambda: caller.spend(32), count)


def let_in(admission: Admission, environ: dict[str, str], header: Callable[[str], str]) -> None:
    """What the door does before it reads a body, and the headers it adds afterwards."""
    caller = admission.admit(environ, header, "predict")
    if caller is not None:
        caller.arrive()
    limit_headers(caller)


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        settings = Settings(root=Path(root))
        measure(settings, 100_000, "")
        if len(sys.argv) > 1:
            measure(dataclasses.replace(settings, limits_url=sys.argv[1]), 2_000, ", Redis")


if __name__ == "__main__":
    main()
