"""What [log] of model.toml hides is in no report: its shares are, and what is wrong with it."""

import re
from pathlib import Path

import msgspec
import pytest
from arrivals import Deployment, change
from click.testing import CliRunner

from stork.cli import cli
from stork.data.anomalies import Comparison, Side, Validation
from stork.data.concealing import conceal_comparison
from stork.data.statistics import Bucket
from stork.store.runs import newest_output

pytestmark = pytest.mark.tensorflow


@pytest.fixture(params=["omit", "hash"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    """A second span whose shops are another one, and whose kilograms are fewer, or too many to be accepted."""
    made = Deployment.begin(tmp_path, log=f'{request.param} = ["shop", "kilograms"]')
    weights = ["97.531" if place % 9 == 0 else f"{29.11 + place / 14323:.6f}" for place in range(1000)]
    made.arrive([change(change(line, 4, "secret"), 0, each) for line, each in zip(made.lines, weights, strict=True)])
    return made


def read(deployment: Deployment, step: str, *names: str) -> str:
    folder = newest_output(deployment.settings, "parcels", step)
    assert folder is not None
    return "\n".join((folder / name).read_text() for name in names)


def test_no_report_has_a_hidden_value(deployment: Deployment) -> None:
    """Neither a text, nor a number, nor an edge between numbers; on pages, in files, and in what is proposed."""
    reports = read(deployment, "validate", "anomalies.json", "anomalies.txt", "anomalies.html", "NOT_VALID")
    reports += read(deployment, "statistics", "statistics.html")
    reports += CliRunner().invoke(cli, ["schema", "diff", "parcels"], env=deployment.settings.environment()).output
    hidden = re.compile(r"secret|\b97\.5|\b29\.1[1-8]")

    assert not hidden.findall(re.sub("<svg.*?</svg>", "", reports, flags=re.DOTALL)) and "value 1" in reports
    assert reports.count("hides them: kilograms, shop.") == 2
    assert len(hidden.findall(read(deployment, "statistics", "span-2.json"))) > 200


def test_what_is_wrong_with_it_is_still_told(deployment: Deployment) -> None:
    """Both differences, with the shares where they are largest, and that numbers are too large."""
    found = msgspec.json.decode(read(deployment, "validate", "anomalies.json"), type=Validation)
    told = {anomaly.column: anomaly for anomaly in found.anomalies if anomaly.question == 1}

    assert "most in value 1: 100.0%, before 0.0%" in told["shop"].received
    assert told["kilograms"].name == "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH"
    assert "FLOAT_TYPE_BIG_FLOAT: span 2, kilograms: expected 0 to 30, received (omitted)" in deployment.told()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"counts": {"a": 3, "b": 1}}, {"counts": {"b": 1, "a": 1}}),
        ({"histogram": (Bucket(0, 1, 3), Bucket(1, 2, 1))}, {"histogram": (Bucket(0, 1, 1), Bucket(1, 2, 1))}),
    ],
    ids=["values", "buckets"],
)
def test_shares_stay_side_by_side(one: dict[str, object], other: dict[str, object]) -> None:
    """The same value, or bucket, has the same number on both sides, the most frequent the first."""
    sides = [msgspec.convert({"name": "", "known": 4, "rows": 4, **side}, Side) for side in (one, other)]
    made = conceal_comparison(
        Comparison(
            type="drift",
            column="shop",
            measure="jensen_shannon",
            value=0.1,
            threshold=0.2,
            calibrated=True,
            effect=0.1,
            treatment=sides[0],
            control=sides[1],
        )
    )

    assert [side.counts for side in (made.treatment, made.control)] == [
        {"value 1": 3, "value 2": 1},
        {"value 1": 1, "value 2": 1},
    ]
