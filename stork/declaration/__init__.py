"""
One declaration per model, `model.toml`, read whole: every section is a frozen struct, unknown keys are refused.

The form, the API's checks, the training input and the log all come from what is declared here.
"""

import tomllib
from pathlib import Path

import msgspec

from stork.declaration.checks import find_contradictions
from stork.declaration.data import SPAN_COLUMNS, Data, Sample, Source, Table
from stork.declaration.declaration import Declaration
from stork.declaration.explain import explain
from stork.declaration.features import Display, DType, Feature, Form, Kind, Model, Output, Tensor, Value
from stork.declaration.section import NAME, BackendName, Scalar, Section
from stork.declaration.serving import (
    Budgets,
    Container,
    Entity,
    Exam,
    Log,
    MLEngine,
    OnlinePrediction,
    Ramp,
    Serving,
    VersionPolicy,
    Vertex,
)
from stork.declaration.training import CustomJob, Evaluation, Retention, Search, Space, Training, Tuning
from stork.errors import DeclarationError

__all__ = [
    "NAME",
    "SPAN_COLUMNS",
    "BackendName",
    "Budgets",
    "Container",
    "CustomJob",
    "DType",
    "Data",
    "Declaration",
    "Display",
    "Entity",
    "Evaluation",
    "Exam",
    "Feature",
    "Form",
    "Kind",
    "Log",
    "MLEngine",
    "Model",
    "OnlinePrediction",
    "Output",
    "Ramp",
    "Retention",
    "Sample",
    "Scalar",
    "Search",
    "Section",
    "Serving",
    "Source",
    "Space",
    "Table",
    "Tensor",
    "Training",
    "Tuning",
    "Value",
    "VersionPolicy",
    "Vertex",
    "load_declaration",
]


def load_declaration(path: Path) -> Declaration:
    """
    The declaration in the file at `path`.

    Raises:
        DeclarationError: the file is missing, is not TOML, has an unknown key, or contradicts itself.
    """
    try:
        text = path.read_text(encoding="utf-8")
        parsed = tomllib.loads(text)
        declaration = msgspec.convert(parsed, Declaration)
    except OSError as error:
        raise DeclarationError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        raise DeclarationError(f"{path}: {explain(str(error), parsed, text, Declaration)}") from error
    contradictions = find_contradictions(declaration)
    if contradictions:
        raise DeclarationError(f"{path}: {'; '.join(contradictions)}")
    return declaration
