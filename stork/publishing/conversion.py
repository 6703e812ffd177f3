"""From a SavedModel's signature to a LiteRT model."""

import re
from pathlib import Path
from typing import Any

from stork.serving.backends.saved_model import TAG, first_line, import_tensorflow


class NotConvertible(Exception):
    """A signature that LiteRT cannot run; the text says why."""


def convert(folder: Path, signature: str) -> bytes:
    """
    The signature as a LiteRT model of built-in operations only.

    The class behind `TFLiteConverter.from_saved_model`, without its call of `tf.saved_model.load`, which refuses
    models that convert well (an input named `in`, optimizer slots of TensorFlow 2.1).

    Raises:
        NotConvertible: it cannot be converted; the message names the operations.
    """
    import_tensorflow()
    from tensorflow.lite.python.lite import TFLiteSavedModelConverterV2

    try:
        converter: Any = TFLiteSavedModelConverterV2(str(folder), {TAG}, [signature], None)
        graph, _, _ = converter._load_saved_model(str(folder), {TAG})
        converter._debug_info = None
        return bytes(converter._convert_from_saved_model(graph))
    except Exception as error:  # the converter raises all kinds
        raise NotConvertible(conversion_problem(str(error)) or f"the converter failed: {first_line(error)}") from error


def conversion_problem(message: str) -> str:
    """The operations that LiteRT lacks, from a converter's page of text; empty where that is not the problem."""
    named = re.findall(r"(?:TF Select|Custom) ops: (.+)", message) or re.findall(r"'tf\.(\w+)' op is neither", message)
    return f"LiteRT has no {', '.join(dict.fromkeys(named))}" if named else ""
