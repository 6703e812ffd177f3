"""All of a model.toml: its sections, each from the room beside this file that its theme is in."""

import msgspec

from stork.declaration.data import Data, Sample
from stork.declaration.features import Feature, Form, Model, Output
from stork.declaration.section import Section
from stork.declaration.serving import Log, Serving
from stork.declaration.training import Evaluation, Retention, Training, Tuning


class Declaration(Section, frozen=True):
    """All of a model.toml."""

    model: Model
    features: tuple[Feature, ...] = msgspec.field(name="feature")
    outputs: tuple[Output, ...] = msgspec.field(name="output")
    form: Form = Form()
    serving: Serving = Serving()
    log: Log = Log()
    sample: Sample = Sample()
    data: Data = Data()
    training: Training = Training()
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    retention: Retention = Retention()
