"""The settings: each one a name, a default, a type and a sentence of help, read once from the environment."""

import os
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from stork.errors import SettingError

PROJECT = Path(__file__).resolve().parent.parent

# What Vertex AI tells a container, and the setting that says it where it is not given itself.
CONTAINER = {
    "AIP_HEALTH_ROUTE": "STORK_HEALTH_ROUTE",
    "AIP_PREDICT_ROUTE": "STORK_PREDICT_ROUTE",
    "AIP_ENDPOINT_ID": "STORK_ENDPOINT",
    "AIP_STORAGE_URI": "STORK_MODELS",
}


def setting(default: Any, help: str) -> Any:
    """A field of Settings with its sentence of help."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """
    All that the environment can change. Each field `x` is the variable `STORK_X`.

    Lists are comma-separated. A path that is not absolute is taken from the project's folder.
    """

    models: Path = setting(Path("model"), "Folder of the models shipped with the code; read only at run time.")
    root: Path = setting(
        Path("var"), "Folder of all that changes: new versions, serving state, runs, keys. It need not be writable."
    )
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
    server: str = setting("granian", "What speaks HTTP below gunicorn: granian, or gunicorn's own gthread.")
    workers: int = setting(2, "Server processes.")
    threads: int = setting(4, "Requests that one server process answers at the same time.")
    admin_key: str = setting("", "The key that changing anything needs; empty: the one in `<root>/keys/admin`.")
    access: str = setting(
        "open", "Who may predict and read: anybody (`open`), or only who has a key or an identity (`keys`)."
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
    queue: int = setting(64, "Requests that may wait for their turn in one server process; one more is answered 429.")
    watch_seconds: float = setting(0.25, "How often a server process looks whether the serving state changed.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """
        The settings of this process.

        Raises:
            SettingError: a variable named STORK_... is not a setting, or its value is not of the setting's type.
        """
        environment = os.environ if environment is None else environment
        environment = {**container_variables(environment), **environment}
        known = {f"STORK_{f.name.upper()}": f for f in fields(cls)}
        given: dict[str, Any] = {}
        for variable, text in environment.items():
            if not variable.startswith("STORK_"):
                continue
            if variable not in known:
                raise SettingError(f"{variable} is no setting of Stork; expected one of {', '.join(sorted(known))}")
            given[known[variable].name] = parse(variable, text, known[variable].type)
        return cls(**given)

    def environment(self) -> dict[str, str]:
        """These settings as the variables that make them, for a process started from this one."""
        values = {f"STORK_{f.name.upper()}": getattr(self, f.name) for f in fields(self)}
        return {k: ",".join(v) if isinstance(v, tuple) else str(v) for k, v in values.items()}

    def __post_init__(self) -> None:
        """Make paths absolute, so that no process depends on the folder it was started in."""
        for name in ("models", "root"):
            object.__setattr__(self, name, PROJECT / getattr(self, name))
        if self.log not in ("stdout", "off"):
            object.__setattr__(self, "log", str(PROJECT / self.log))
        self.check_access()

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


def container_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """
    The variables of ours that those of a Vertex AI container stand for; none outside of one.

    There the service's front end asks by address, whatever that is, and nobody else reaches the port.
    Source: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements

    Raises:
        SettingError: the models are to be read from a bucket.
    """
    if "AIP_HTTP_PORT" not in environment:
        return {}
    if "://" in environment.get("AIP_STORAGE_URI", "") and "STORK_MODELS" not in environment:
        raise SettingError(
            f"AIP_STORAGE_URI: expected a local folder or nothing, received {environment['AIP_STORAGE_URI']!r}; "
            "put the models into the image, and upload it without an artifact URI"
        )
    found = {ours: environment[theirs] for theirs, ours in CONTAINER.items() if environment.get(theirs)}
    return {"STORK_BIND": "0.0.0.0", "STORK_HOSTS": "*", **found}


def parse(variable: str, text: str, wanted: Any) -> Any:
    """
    The value of a setting from its text.

    Raises:
        SettingError: the text is not of the wanted type, or names a remote folder.
    """
    if isinstance(wanted, types.GenericAlias):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if wanted is Path and "://" in text:
        raise SettingError(f"{variable}: expected a local folder, received {text!r}")
    try:
        return wanted(text)
    except ValueError:
        raise SettingError(f"{variable}: expected {wanted.__name__}, received {text!r}") from None


# What docs/settings.md must document: (variable, default, type, help).
SETTINGS: tuple[tuple[str, Any, Any, str], ...] = tuple(
    (f"STORK_{f.name.upper()}", f.default, f.type, f.metadata["help"]) for f in fields(Settings)
)
