"""A version folder: its manifest, written last, says what is in it and proves that it is whole."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from stork.errors import VersionBroken
from stork.schema.frozen import Schema, load_schema, revive
from stork.store.files import checksum, remove_file, write_atomically

# Verdicts are written after the folder is whole, so they are not part of what the manifest proves.
VERDICTS = ("BLESSED", "NOT_BLESSED", "INFRA_BLESSED", "INFRA_NOT_BLESSED")
# So is what is told of a version: it goes on to change when a ramp ends, or a run is cleaned up.
EVIDENCE, ML_TEST = "evidence.html", "mltest.json"


class FileFacts(msgspec.Struct, frozen=True):
    """What a file must be: its size in bytes and its SHA-256."""

    bytes: int
    sha256: str


class Twin(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    The LiteRT twin: proved equal on `rows` rows up to `max_difference`, or the reason why there is none.

    `steady` false: TensorFlow was seen to answer a row among others as it does not alone, so it is asked for one
    request at a time.
    """

    proved: bool
    rows: int = 0
    max_difference: float = 0.0
    reason: str = ""
    steady: bool = True


class SpanUsed(msgspec.Struct, frozen=True):
    """A span that a version learned from, and the SHA-256 of its manifest."""

    span: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a version folder says of itself. `created` is UTC; `parent` the version that served when it was trained,
    `runs` the runs whose steps led to it, by step.

    `metrics` are those of the test split (`rmse`, `mae`, `bias`, in the label's unit, `rows`). `waived` is a person's
    reason to let it pass though its quality was not blessed, `waived_data` to learn from rows that were not valid.
    """

    model: str
    created: datetime
    files: dict[str, FileFacts]
    schema: str
    twin: Twin
    metrics: dict[str, float] = {}
    data: tuple[str, ...] = ()
    packages: dict[str, str] = {}
    parent: int | None = None
    spans: tuple[SpanUsed, ...] = ()
    runs: dict[str, str] = {}
    note: str = ""
    waived: str = ""
    waived_data: str = ""


class Golden(msgspec.Struct, frozen=True):
    """Requests with the answers that the version gave when it was made."""

    instances: list[dict[str, Any]]
    predictions: list[dict[str, Any]]


class FurtherSignature(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A signature of the SavedModel besides the one of schema.json: its own schema, or None and why it is not served.

    `method` says what TensorFlow Serving is to do with it; `steady` that rows were seen to be answered alone as they
    are among others.
    """

    method: Literal["predict", "classify", "regress"] = "predict"
    schema: Schema | None = None
    reason: str = ""
    steady: bool = False


def write_manifest(folder: Path, schema: Schema, twin: Twin, **facts: Any) -> Manifest:
    """Seal a folder: checksums of every file in it (verdicts and evidence aside), then the manifest, last."""
    files = {
        str(path.relative_to(folder)): FileFacts(bytes=path.stat().st_size, sha256=checksum(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (*VERDICTS, EVIDENCE, ML_TEST, "manifest.json")
    }
    facts.setdefault("created", datetime.now(UTC))
    manifest = Manifest(model=schema.model, files=files, schema=schema.hash, twin=twin, **facts)
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_atomically(folder / "manifest.json", content)
    return manifest


def load_manifest(folder: Path) -> Manifest:
    """
    The manifest of a version folder.

    Raises:
        VersionBroken: there is none, or it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise VersionBroken(f"{folder} has no manifest.json: it is not a whole version") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise VersionBroken(f"{folder / 'manifest.json'}: {error}") from error


def verify(folder: Path) -> tuple[Manifest, Schema]:
    """
    The manifest and schema of a folder whose every file is as the manifest says.

    Raises:
        VersionBroken: a file is missing or changed; the message names it.
    """
    manifest = load_manifest(folder)
    for name, facts in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise VersionBroken(f"{path} is missing")
        if path.stat().st_size != facts.bytes or checksum(path) != facts.sha256:
            raise VersionBroken(f"{path} is not the file that was published (its checksum differs)")
    schema = load_schema(folder / "schema.json")
    if schema.hash != manifest.schema:
        raise VersionBroken(f"{folder / 'schema.json'} is not the schema that the manifest names")
    return manifest, schema


def load_golden(folder: Path) -> Golden | None:
    """The golden requests of a version; None where it has none."""
    golden: Golden | None = read_optional(folder / "golden.json", Golden)
    return golden


def load_background(folder: Path) -> list[dict[str, Any]]:
    """The instances that stand for "anybody" when a prediction is explained; empty where there are none."""
    return read_optional(folder / "background.json", list[dict[str, Any]]) or []


def load_signatures(folder: Path) -> dict[str, FurtherSignature]:
    """The further signatures of a version by name; empty where it has none."""
    listed: dict[str, FurtherSignature] = read_optional(folder / "signatures.json", dict[str, FurtherSignature]) or {}
    return {
        name: msgspec.structs.replace(further, schema=further.schema and revive(further.schema))
        for name, further in listed.items()
    }


def read_optional(path: Path, wanted: Any) -> Any:
    """A JSON file of a known type, or None where there is no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=wanted)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise VersionBroken(f"{path}: {error}") from error


def write_verdict(folder: Path, name: str, reasons: Mapping[str, Any]) -> None:
    """Write BLESSED, INFRA_BLESSED, VALID or their opposites, with the reasons; the opposite verdict is withdrawn."""
    opposite = name.replace("NOT_", "") if "NOT_" in name else opposite_of(name)
    write_atomically(folder / name, msgspec.json.format(msgspec.json.encode(dict(reasons)), indent=2) + b"\n")
    remove_file(folder / opposite)


def opposite_of(kind: str) -> str:
    """
    >>> opposite_of("INFRA_BLESSED"), opposite_of("VALID")
    ('INFRA_NOT_BLESSED', 'NOT_VALID')
    """
    return kind.replace("BLESSED", "NOT_BLESSED").replace("VALID", "NOT_VALID")


def read_verdict(folder: Path, kind: str) -> tuple[str, dict[str, Any]]:
    """The verdict file of a kind (`BLESSED`, `INFRA_BLESSED`, `VALID`), its reasons; ("", {}) where there is none."""
    for name in (kind, opposite_of(kind)):
        reasons = read_optional(folder / name, dict[str, Any])
        if reasons is not None:
            return name, reasons
    return "", {}


def refusal(folder: Path, kind: str) -> str:
    """Why the verdict of a kind does not let the folder's version pass; empty where it does, or is waived."""
    name, facts = read_verdict(folder, kind)
    if name == kind or facts.get("waived"):
        return ""
    return f"{name}: {'; '.join(facts.get('reasons', []))}" if name else f"it has no verdict {kind}"


def verdict_names(folder: Path) -> list[str]:
    """The verdicts that were given, as a person reads them."""
    given = [read_verdict(folder, kind) for kind in ("BLESSED", "INFRA_BLESSED")]
    return [f"{name} (waived)" if facts.get("waived") else name for name, facts in given if name]
