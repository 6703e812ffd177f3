"""Loading one version: every file as published, the backend that fits, the golden requests answered."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.config import Settings
from stork.declaration import BackendName, Declaration
from stork.errors import BackendError, BackendUnavailable, StorkError, VersionBroken
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema, numeric_limits
from stork.schema.held import HeldDecoder
from stork.schema.tensors import Array, Tensors, check_predictions, plain_values
from stork.serving.backends import Backend, RemoteBackend
from stork.serving.backends.saved_model_process import ProcessBackend
from stork.serving.backends.template import Template
from stork.serving.batching import BatchingBackend
from stork.serving.signatures import FurtherSignatures
from stork.serving.trace import NO_TRACE, Trace
from stork.store.registry import Registry
from stork.store.version import Golden, Manifest, load_background, load_golden, load_signatures, verify

# A twin may differ by 1e-5 where it was made; another processor gets a little more.
GOLDEN_TOLERANCE = 1e-3


@dataclass(slots=True)
class Answered:
    """
    Outputs by output name; where they come from (`dynamic` or `fallback`), and why the remote did not answer.

    `together`: the backend may have answered other requests in the same call, and counts its calls itself.
    """

    outputs: dict[str, Array]
    origin: str
    backend: str
    remote_error: str = ""
    together: bool = False


@dataclass(frozen=True)
class LoadedVersion:
    """
    One version, checked, warm, and safe to use from any thread.

    Requests go to `remote` where one is declared, else to `local`; `local` also answers when the remote fails.
    """

    model: str
    version: int
    manifest: Manifest
    schema: Schema
    decoder: Decoder
    local: Backend | None
    remote: RemoteBackend | None = None
    background: list[dict[str, Any]] = field(default_factory=list)
    further: "FurtherSignatures[LoadedVersion]" = field(default_factory=lambda: FurtherSignatures({}))

    @cached_property
    def held(self) -> HeldDecoder:
        """What checks instances that come as the model's own tensors."""
        return HeldDecoder(self.decoder)

    def signature(self, name: str) -> "LoadedVersion":
        """
        What answers the signature of this name; this itself, where it is its own or none is named.

        Raises:
            BadRequest: the version does not serve it.
            BackendUnavailable: it cannot be loaded here.
        """
        return self if name in ("", self.schema.signature) else self.further.find(name)

    def note_calls(self, note: Callable[[int], None]) -> None:
        """Let `note` hear how many rows each call has of a backend that answers requests together; any signature's."""
        if isinstance(self.local, BatchingBackend):
            self.local.note_call = note
        self.further.when_loaded = lambda signature: signature.note_calls(note)

    def answer(self, tensors: Tensors, deadline: float = math.inf, trace: Trace = NO_TRACE) -> Answered:
        """
        The prediction for a request's tensors, given up at the deadline; a service that is asked hears of the trace.

        Raises:
            BackendError: nobody could answer; the message is the remote's where there is one.
        """
        if self.remote is None:
            return self._answer_here(tensors, deadline, "dynamic")
        try:
            predicted = self.remote.predict(tensors, deadline, trace)
            outputs = check_predictions(self.schema, predicted, count_rows(tensors))
            return Answered(outputs, "dynamic", self.remote.name)
        except BackendError as error:
            if self.local is None:
                raise
            return self._answer_here(tensors, deadline, "fallback", str(error))

    def _answer_here(self, tensors: Tensors, deadline: float, origin: str, remote_error: str = "") -> Answered:
        outputs, local = self.predict(tensors, deadline), self._here()
        return Answered(outputs, origin, local.name, remote_error, isinstance(local, BatchingBackend))

    def predict(self, tensors: Tensors, deadline: float = math.inf) -> dict[str, Array]:
        """
        Every output by output name, first axis one row per instance, answered here and never by the remote.

        Raises:
            BackendError: the backend failed, or answered something that is no prediction.
        """
        return check_predictions(self.schema, self._here().predict(tensors, deadline), count_rows(tensors))

    def _here(self) -> Backend:
        if self.local is None:
            raise BackendUnavailable(f"{self.model} version {self.version} only forwards; nothing answers here")
        return self.local


def count_rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def load_version(
    registry: Registry, name: str, version: int, declaration: Declaration, template: Template | None = None
) -> LoadedVersion:
    """
    A version ready to serve.

    With a `template` TensorFlow answers in a process of its own, as it does in a server; without one in this process.

    Raises:
        VersionNotFound: there is no such version.
        VersionBroken: a file is missing or changed, the backend cannot load it, or a golden request fails.
    """
    settings = registry.settings
    folder = registry.version_folder(name, version)
    manifest, schema = verify(folder)
    remote = load_remote(settings, declaration, schema)
    local = None
    if remote is None or declaration.serving.fallback != "none":
        local = load_local(choose_local(settings, declaration, manifest), folder, schema, template)
        if local.name == "saved_model" and declaration.serving.batching and manifest.twin.steady:
            local = BatchingBackend(local, settings.queue)
    loaded = LoadedVersion(
        model=name,
        version=version,
        manifest=manifest,
        schema=schema,
        decoder=Decoder(schema, settings.max_instances, declaration.log.hidden),
        local=local,
        remote=remote,
        background=load_background(folder),
    )
    if local is None:
        return loaded
    check_golden(loaded, load_golden(folder))
    further, waiting = load_signatures(folder), settings.queue if declaration.serving.batching else 0
    load = partial(load_signature, loaded, folder, template, waiting)
    return replace(loaded, further=FurtherSignatures(further, load))


def load_signature(
    version: LoadedVersion, folder: Path, template: Template | None, waiting: int, steady: bool, schema: Schema
) -> LoadedVersion:
    """
    What answers another signature of a version: TensorFlow, since the twin was proved for the version's own.

    `waiting` is how many may wait to be answered together where that is `steady`; 0: nobody is.

    Raises:
        VersionBroken: TensorFlow is not installed, or the signature cannot be loaded.
    """
    local = load_local("saved_model", folder, schema, template)
    if waiting and steady:
        local = BatchingBackend(local, waiting)
    return replace(
        version,
        manifest=msgspec.structs.replace(version.manifest, schema=schema.hash),
        schema=schema,
        decoder=Decoder(schema, version.decoder.max_instances, version.decoder.hidden),
        local=local,
        remote=None,
        background=[],
    )


def choose_local(settings: Settings, declaration: Declaration, manifest: Manifest) -> BackendName:
    """The backend that answers here: as declared, else LiteRT where the twin is proved, else TensorFlow."""
    declared = settings.backend or declaration.serving.backend
    if declared in ("vertex", "mlengine"):
        declared = declaration.serving.fallback
    if declared in ("litert", "saved_model"):
        return declared  # type: ignore[return-value]
    return "litert" if manifest.twin.proved else "saved_model"


def load_local(name: BackendName, folder: Path, schema: Schema, template: Template | None = None) -> Backend:
    """
    Raises:
        VersionBroken: the model cannot be loaded by this backend; the message says why.
    """
    try:
        if name == "litert":
            from stork.serving.backends.litert import LiteRTBackend

            return LiteRTBackend(folder, schema)
        if template is not None:
            return ProcessBackend(folder, schema, template)
        from stork.serving.backends.saved_model import SavedModelBackend

        return SavedModelBackend(folder, schema)
    except StorkError as error:
        raise VersionBroken(f"{folder.parent.name} version {folder.name} does not load: {error}") from error


def check_golden(loaded: LoadedVersion, golden: Golden | None) -> None:
    """
    Ask the golden requests: the answers must be finite, in the declared range, and what they were when it was made.

    Raises:
        VersionBroken: one of them fails; the message says which.
    """
    if golden is None or not golden.instances:
        return
    where = f"{loaded.model} version {loaded.version}: golden request"
    try:
        instances = loaded.decoder.decode(golden.instances, "golden.json")
        answers = loaded.predict(instances.tensors)
        for row in range(min(2, len(instances))):  # a single row takes another road through some backends
            loaded.predict({name: tensor[row : row + 1] for name, tensor in instances.tensors.items()})
    except StorkError as error:
        raise VersionBroken(f"{where} failed: {error}") from error
    for output in loaded.schema.outputs:
        values = plain_values(output, answers[output.name])
        low, high = numeric_limits(output)
        for row, (value, recorded) in enumerate(zip(values, golden.predictions, strict=True)):
            wanted = recorded[output.name]
            if isinstance(value, float | int) and not low <= value <= high:
                raise VersionBroken(f"{where} {row}: {output.name} expected {low} to {high}, received {value}")
            if not same(value, wanted):
                raise VersionBroken(f"{where} {row}: {output.name} expected {wanted}, as recorded, received {value}")


def same(value: Any, wanted: Any) -> bool:
    """Equal, or for floats within the golden tolerance."""
    if isinstance(value, str) or isinstance(wanted, str):
        return bool(value == wanted)
    return bool(np.allclose(value, wanted, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE))


def load_remote(settings: Settings, declaration: Declaration, schema: Schema) -> RemoteBackend | None:
    """The online prediction service that requests are forwarded to, where one is chosen."""
    chosen, serving = settings.backend or declaration.serving.backend, declaration.serving
    if chosen == "vertex":
        from stork.serving.backends.vertex import VertexBackend

        endpoint = settings.vertex_endpoint or serving.vertex.endpoint
        return VertexBackend(schema, serving.vertex, endpoint, settings.vertex_api)
    if chosen == "mlengine":
        from stork.serving.backends.mlengine import MLEngineBackend

        model = settings.mlengine_model or serving.mlengine.model
        return MLEngineBackend(schema, serving.mlengine, model, settings.mlengine_api)
    return None
