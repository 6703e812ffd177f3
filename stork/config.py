"""The settings: each one a name, a default, a type and a sentence of help, read once from the environment."""

import difflib
import os
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from stork.container import CONTAINER, container_variables
from stork.errors import SettingError

PROJECT = Path(__file__).resolve().parent.parent

BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[A-Za-z0-9][A-Za-z0-9._-]*)*/?")
BACKENDS = ("auto", "litert", "saved_model", "vertex", "mlengine")
SERVERS = ("stork", "gthread")
ABOVE_ZERO = (
    "workers",
    "threads",
    "max_body",
    "max_instances",
    "deadline",
    "watch_seconds",
    "poll_seconds",
    "audit_mb",
    "audit_days",
)


def setting(default: Any, help: str, secret: bool = False) -> Any:
    """A field of Settings with its sentence of help; a `secret` one is shown to nobody."""
    return field(default=default, metadata={"help": help, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """
    All that the environment can change. Each field `x` is the variable `STORK_X`.

    Lists are comma-separated. A path that is not absolute is taken from the project's folder.
    """

    models: Path = setting(Path("model"), "Folder of the models shipped with the code; read only at run time.")
    root: Path = setting(
        Path("var"),
        "Home of all that changes: new versions, serving state, runs, keys. A folder, which need not be writable, "
        "or gs://bucket/prefix.",
    )
    mirror: Path = setting(Path("var/mirror"), "Folder of the local copy of a root on gs://.")
    storage_api: str = setting("", "Address of Cloud Storage, an emulator's for example; default: Google's own.")
    poll_seconds: float = setting(5.0, "How often a machine that serves looks what is new in a root on gs://.")
    log: str = setting(
        "var/log", "Folder of the prediction log; `stdout` writes one line per request there; `off` keeps none."
    )
    audit_mb: int = setting(1024, "Size of the audit, in MB; beyond it its oldest lines are removed.")
    audit_days: int = setting(400, "Age of the audit's oldest lines, in days; older ones are removed.")
    model: str = setting(
        "", "The model that `/` and `/api/predict` mean when none is named; default: the first by name."
    )
    backend: str = setting(
        "",
        "Overrides every model's `[serving] backend`: auto, litert, saved_model, vertex, mlengine; empty: as declared.",
    )
    vertex_endpoint: str = setting(
        "",
        "Overrides `[serving.vertex] endpoint`: projects/P/locations/L/endpoints/E of the online prediction service.",
    )
    vertex_api: str = setting(
        "", "Address of the online prediction service; default: https://<location>-aiplatform.googleapis.com."
    )
    vertex_training_api: str = setting(
        "", "Address of the service that trains; default: https://<location>-aiplatform.googleapis.com."
    )
    mlengine_model: str = setting(
        "", "Overrides `[serving.mlengine] model`: projects/P/models/M[/versions/V] of the older prediction service."
    )
    mlengine_api: str = setting("", "Address of the older prediction service; default: https://ml.googleapis.com.")
    bigquery_api: str = setting("", "Address of BigQuery; default: Google's own.")
    pubsub_api: str = setting("", "Address of Pub/Sub, an emulator's for example; default: Google's own.")
    endpoint: str = setting(
        "",
        "Id by which Vertex AI's clients may ask for the default model; every model is found by its name anyway.",
    )
    hosts: tuple[str, ...] = setting(
        ("localhost", "127.0.0.1", "[::1]"),
        "Host names that requests may ask for; `.example.com` means every name below it, `*` any.",
    )
    health_route: str = setting("", "Path that answers as Vertex AI asks a container whether it is ready; empty: none.")
    predict_route: str = setting("", "Path that answers as Vertex AI asks a container for predictions; empty: none.")
    bind: str = setting("127.0.0.1", "Address that `python -m stork serve` listens on.")
    server: str = setting("stork", "What speaks HTTP below gunicorn: a worker of Stork's own, or gunicorn's gthread.")
    workers: int = setting(2, "Server processes.")
    threads: int = setting(4, "Requests that one server process answers at the same time.")
    admin_key: str = setting(
        "", "The key that changing anything needs; empty: the one in `<root>/keys/admin`.", secret=True
    )
    access: str = setting(
        "open", "Who may predict and read: anybody (`open`), or only who has a key or an identity (`keys`)."
    )
    key: str = setting(
        "",
        "Whose key the verbs of the command line act with; where STORK_ACCESS is `keys`, what changes needs one.",
        secret=True,
    )
    limits_url: str = setting(
        "", "Redis server that counts what keys use for all machines, redis://host:port/0; empty: each for itself."
    )
    iap_audience: str = setting(
        "", "Accept who passed Identity-Aware Proxy for this audience, /projects/NUMBER/apps/PROJECT; empty: none."
    )
    iap_keys: str = setting(
        "https://www.gstatic.com/iap/verify/public_key", "Where the public keys of Identity-Aware Proxy are."
    )
    oidc_issuer: str = setting("", "Accept ID tokens of this OpenID Connect issuer, an https address; empty: none.")
    oidc_audience: str = setting("", "The audience that those tokens must name.")
    identities: tuple[str, ...] = setting(
        (), "Roles of who signed in so: `alice@example.com=operate`, `*@example.com=predict`, `*=read`."
    )
    max_body: int = setting(8 * 1024 * 1024, "Largest request body, in bytes; a larger one is answered 413.")
    max_instances: int = setting(10_000, "Most instances in one request; more are answered 413.")
    deadline: float = setting(
        30.0, "Seconds after which a request is answered 504; a caller may ask for less with `X-Server-Timeout`."
    )
    queue: int = setting(
        64, "Requests that may wait in one server process while all its threads do; one more is answered 429."
    )
    watch_seconds: float = setting(0.25, "How often a server process looks whether the serving state changed.")

    # No setting: what `root` is the local copy of, gs://bucket/prefix; empty where it is a folder of its own.
    bucket: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """
        The settings of this process.

        Raises:
            SettingError: a variable named STORK_... is not a setting, or its value is not of the setting's type.
        """
        environment = os.environ if environment is None else environment
        environment = {**container_variables(environment), **environment}
        known = {variable_of(f): f for f in setting_fields()}
        given: dict[str, Any] = {}
        for variable, text in environment.items():
            if not variable.startswith("STORK_"):
                continue
            if variable not in known:
                raise SettingError(f"{variable} is no setting of Stork; {suggest(variable, sorted(known))}")
            given[known[variable].name] = parse(variable, text, known[variable].type)
        return cls(**given)

    def shown(self, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, Any, str]]:
        """Every setting as (variable, value, source): the variable it was read from, or `default`; secrets hidden."""
        environment = os.environ if environment is None else environment
        contained = container_variables(environment)
        theirs = {ours: name for name, ours in CONTAINER.items() if environment.get(name)}
        for f in setting_fields():
            variable, value = variable_of(f), getattr(self, f.name)
            source = variable if variable in environment else "default"
            if source == "default" and variable in contained:
                source = theirs.get(variable, "AIP_HTTP_PORT")
            yield variable, hide(self.bucket or value if f.name == "root" else value, f.metadata["secret"]), source

    def environment(self) -> dict[str, str]:
        """These settings as the variables that make them, for a process started from this one."""
        values = {variable_of(f): getattr(self, f.name) for f in setting_fields()}
        values["STORK_ROOT"] = self.bucket or self.root
        return {k: ",".join(v) if isinstance(v, tuple) else str(v) for k, v in values.items()}

    def __post_init__(self) -> None:
        """Make paths absolute, so that no process depends on the folder it was started in."""
        for name in ("models", "mirror"):
            object.__setattr__(self, name, PROJECT / getattr(self, name))
        self.place_root()
        if self.log not in ("stdout", "off"):
            object.__setattr__(self, "log", str(PROJECT / self.log))
        self.check_values()
        self.check_access()

    def place_root(self) -> None:
        """Let `root` be a local folder: its own, or that of the copy of a bucket."""
        scheme, *parts = self.root.parts or ("",)
        if scheme == "gs:":  # Path has made one slash of two
            object.__setattr__(self, "bucket", f"gs://{'/'.join(parts)}")
        if self.bucket and scheme != "gs:" and self.root != self.copy_of_bucket():
            object.__setattr__(self, "bucket", "")  # replace(settings, root=...)
        object.__setattr__(self, "root", self.copy_of_bucket() if self.bucket else PROJECT / self.root)

    def place(self, path: Path) -> str:
        """Where a person finds a file below the root: in the bucket, where there is one, not in its copy."""
        return f"{self.bucket}/{path.relative_to(self.root).as_posix()}" if self.bucket else str(path)

    def copy_of_bucket(self) -> Path:
        """Where the copy of a root on gs:// is."""
        return self.mirror / self.bucket.removeprefix("gs://")

    def check_values(self) -> None:
        """
        Raises:
            SettingError: a value is of its type, but means nothing.
        """
        if self.backend and self.backend not in BACKENDS:
            raise SettingError(f"STORK_BACKEND: expected one of {', '.join(BACKENDS)}, received {self.backend!r}")
        if self.server not in SERVERS:
            raise SettingError(f"STORK_SERVER: expected {' or '.join(SERVERS)}, received {self.server!r}")
        for name in ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise SettingError(f"STORK_{name.upper()}: expected more than 0, received {getattr(self, name)}")
        if self.queue < 0:
            raise SettingError(f"STORK_QUEUE: expected 0 or more, received {self.queue}")

    def check_access(self) -> None:
        """
        Raises:
            SettingError: a setting that keeps people out would not, as it is given.
        """
        if self.access not in ("open", "keys"):
            raise SettingError(f"STORK_ACCESS: expected open or keys, received {self.access!r}")
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise SettingError("STORK_OIDC_ISSUER and STORK_OIDC_AUDIENCE: expected both or none, received one")
        if self.oidc_issuer and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", self.oidc_issuer):
            raise SettingError(f"STORK_OIDC_ISSUER: expected an https address, received {self.oidc_issuer!r}")


def setting_fields() -> "list[Field[Any]]":
    """The fields of Settings that a variable gives."""
    return [f for f in fields(Settings) if "help" in f.metadata]


def variable_of(f: "Field[Any]") -> str:
    """The variable of a setting."""
    return f"STORK_{f.name.upper()}"


def suggest(unknown: str, known: list[str]) -> str:
    """The nearest known variable, or where nothing is near, all of them."""
    short = [name.removeprefix("STORK_") for name in known]
    nearest = difflib.get_close_matches(unknown.removeprefix("STORK_"), short, n=1)
    return f"did you mean STORK_{nearest[0]}?" if nearest else f"expected one of {', '.join(known)}"


def hide(value: Any, secret: bool) -> Any:
    """A value as it may be shown: of a secret only that it is there, of an address not its password."""
    if secret:
        return "(hidden)" if value else value
    return re.sub(r"(?<=://)[^/@]*@", "(hidden)@", value) if isinstance(value, str) else value


def parse(variable: str, text: str, wanted: Any) -> Any:
    """
    The value of a setting from its text.

    Raises:
        SettingError: the text is not of the wanted type, or names a remote folder.
    """
    if isinstance(wanted, types.GenericAlias):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if variable == "STORK_ROOT" and BUCKET.fullmatch(text):
        return Path(text)
    if wanted is Path and "://" in text:
        also = " or gs://bucket/prefix" if variable == "STORK_ROOT" else ""
        raise SettingError(f"{variable}: expected a local folder{also}, received {text!r}")
    try:
        return wanted(text)
    except ValueError:
        raise SettingError(f"{variable}: expected {wanted.__name__}, received {text!r}") from None


# What docs/settings.md must document: (variable, default, type, help).
SETTINGS: tuple[tuple[str, Any, Any, str], ...] = tuple(
    (variable_of(f), f.default, f.type, f.metadata["help"]) for f in setting_fields()
)
