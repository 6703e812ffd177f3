"""Which answered requests the prediction log keeps, where it keeps a share of them."""

import json
from pathlib import Path

import pytest
from deployments import declare_more
from server import BABY

from stork.config import Settings
from stork.errors import InvalidInstances
from stork.schema.instances import Columns
from stork.serving.ask import Ask, Context
from stork.serving.predictor import Predictor
from stork.store.prediction_log import read_records


def serve(settings: Settings, log: str) -> Predictor:
    """What one process of a deployment answers, with more said of its log."""
    declare_more(settings, f"[log]\n{log}")
    predictor = Predictor(settings)
    predictor.route("babyweight").follow()
    return predictor


def kept(settings: Settings) -> set[str]:
    """Ids of the records that were kept."""
    return {record["id"] for record in read_records(Path(settings.log) / "babyweight")}


def test_of_one_caller_all_is_kept_or_nothing(settings: Settings) -> None:
    """A header identifies them; in another process it is the same callers."""
    callers = []
    for _ in range(2):
        predictor = serve(settings, 'sample = 0.5\nentity = { header = "X-User-Id" }')
        of_user: dict[str, set[str]] = {}
        for user in [f"user-{number}" for number in range(60)] * 3:
            context = Context({"X-User-Id": user}.__getitem__)
            of_user.setdefault(user, set()).add(predictor.predict(Ask([BABY], context=context)).id)
        found = kept(settings)
        callers.append({user for user, ids in of_user.items() if ids <= found})
        assert all(ids <= found or not ids & found for ids in of_user.values())

    assert callers[0] == callers[1] and 15 < len(callers[0]) < 45


def test_of_one_value_all_is_kept_or_nothing(settings: Settings) -> None:
    """The first instance's, however it is sent."""
    predictor = serve(settings, 'sample = 0.5\nentity = { feature = "mother_age" }')
    of_age: dict[int, set[str]] = {}
    for age in range(15, 45):
        rows = [{**BABY, "mother_age": age}, BABY]
        columns = Columns({name: [row[name] for row in rows] for name in BABY})
        asks = Ask(rows), Ask(json.dumps(rows).encode()), Ask(columns), Ask(rows[0], single=True)
        of_age[age] = {predictor.predict(ask).id for ask in asks}
    found = kept(settings)

    assert all(ids <= found or not ids & found for ids in of_age.values())
    assert 5 < sum(ids <= found for ids in of_age.values()) < 25


def test_who_is_unknown_is_kept_by_chance_and_who_is_refused_always(settings: Settings) -> None:
    """Without the header the prediction's id decides."""
    predictor = serve(settings, 'sample = 0.25\nentity = { header = "X-User-Id" }')
    answered = {predictor.predict(Ask([BABY])).id for _ in range(200)}
    with pytest.raises(InvalidInstances) as refused:
        predictor.predict(Ask([{}]))
    found = kept(settings)

    assert 20 < len(answered & found) < 85 and refused.value.prediction_id in found
