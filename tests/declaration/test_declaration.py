"""A declaration that is wrong is refused whole, with the place and what was expected."""

from pathlib import Path

import pytest

from stork.config import PROJECT
from stork.declaration import load_declaration
from stork.errors import DeclarationError

GOOD = """
[model]
name = "m"
title = "M"
[[feature]]
name = "age"
kind = "integer"
range = [0, 9]
[[feature]]
name = "colour"
kind = "category"
required = false
values = [{ value = "red", title = "Red" }]
tensor = { dtype = "string", missing = "" }
[[output]]
name = "y"
"""


def load(folder: Path, text: str) -> None:
    (folder / "model.toml").write_text(text)
    load_declaration(folder / "model.toml")


def test_every_shipped_declaration_is_good(tmp_path: Path) -> None:
    """And so is the smallest one, from which the wrong ones below are made."""
    load(tmp_path, GOOD)
    for path in (PROJECT / "model").glob("*/model.toml"):
        assert load_declaration(path).model.name == path.parent.name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("range =", "rnge =", r"unknown key `rnge` - at `\$.feature\[0\]` \(line \d+\); did you mean `range`\?"),
        ("[model]", "[servng]\n[model]", "unknown key `servng`.*; did you mean `serving`"),
        ('kind = "integer"', 'kind = "int"', r"Invalid enum value 'int' - at `\$.feature\[0\].kind`"),
        ("range = [0, 9]", "range = [9, 0]", r"feature 'age': expected a range \[low, high\], received \[9.0, 0.0\]"),
        ("range = [0, 9]", "values = [{ value = true }]", "feature 'age': the values of an integer are whole numbers"),
        ('name = "colour"', 'name = "age"', "feature 'age' is declared twice"),
        ('name = "age"', r'name = "a\"ge"', "feature 'a\"ge': expected a name without quotes"),
        (
            'value = "red", title = "Red"',
            'value = "red" }, { value = "red"',
            "feature 'colour': a value is listed twice",
        ),
        ('dtype = "string", missing = ""', 'dtype = "string"', "feature 'colour': a feature that is not required says"),
        ("[[output]]", '[form]\nwhat_if = "agee"\n[[output]]', "form.what_if: no feature is named 'agee'"),
        ('name = "y"', 'name = "y"\n[training]\nlabel = "z"', "training.label: no output is named 'z'"),
        ("[[output]]", "[tuning.space]\nunts = {}\n[[output]]", "unknown key `unts`.*; did you mean `units`"),
        ("[[output]]", "[tuning.space]\nepochs = {}\n[[output]]", "tuning.space.epochs: expected `low` and `high`, or"),
        (
            "[[output]]",
            "[training]\nepochs = 0\n[[output]]",
            r"`int` >= 1 - at `\$.training.epochs`, received 0 \(line \d+\)",
        ),
        (
            "[[output]]",
            '[training]\nepochs = "9"\n[[output]]',
            r"got `str` - at `\$.training.epochs`, received '9' \(line",
        ),
        ("[[output]]", "[training]\ntrials = 9\n[[output]]", r"unknown key `trials`.*; it is a key of \[tuning\]$"),
        ("[[output]]", "[training]\nzzzzzz = 9\n[[output]]", r"unknown key `zzzzzz`.*; expected one of label, weight"),
        (
            "[[output]]",
            "[training]\neval = [10]\n[[output]]",
            "training.eval: expected buckets from 0 to 9, received 10",
        ),
        ("[[output]]", "[training]\neval = [9]\n[[output]]", "training: bucket 9 is in eval and in test"),
        ("[[output]]", "[training]\nbuckets = 2\neval = [0]\ntest = [1]\n[[output]]", "training: all 2 buckets are in"),
        ('name = "y"', 'name = "y"\n[training]\nweight = "age"', "training.weight: 'age' is a feature or an output"),
        ("[[output]]", "[serving.vertex]\ndeadline = 0\n[[output]]", r"`float` > 0.0 - at `\$.serving.vertex.deadline"),
        ("[[output]]", "[serving.vertex]\nretries = -1\n[[output]]", r"`int` >= 0 - at `\$.serving.vertex.retries`"),
        ("[[output]]", '[serving.sticky]\nfeature = "agee"\n[[output]]', "serving.sticky.feature: no feature is named"),
        (
            "[[output]]",
            '[serving.sticky]\nheader = "X"\nfeature = "age"\n[[output]]',
            "serving.sticky: expected a header or a feature, received both",
        ),
        ("[[output]]", '[log.entity]\nfeature = "agee"\n[[output]]', "log.entity.feature: no feature is named"),
        ("[[output]]", "[serving.ramp]\nmax_error_rate = 2\n[[output]]", r"`float` <= 1.0 - at `\$.serving.ramp"),
        (
            "[[output]]",
            "[evaluation]\nmin_rmse_ratio = 2\n[[output]]",
            r"evaluation.min_rmse_ratio: expected at most max_rmse_ratio \(1\), received 2",
        ),
        (
            "[[output]]",
            '[evaluation]\nslices = ["colour"]\nmax_slice_ratios = { colou = 1.2 }\n[[output]]',
            r"evaluation.max_slice_ratios: expected one of colour, colour: \.\.\., received 'colou'",
        ),
        ("[[output]]", "[serving.exam]\nstarts = 0\n[[output]]", r"`int` >= 1 - at `\$.serving.exam.starts`"),
        ('title = "M"', "title = ", "Invalid value"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    """A misspelt key, a wrong type, a name of nothing, a domain that does not fit its kind."""
    assert old in GOOD
    with pytest.raises(DeclarationError, match=message):
        load(tmp_path, GOOD.replace(old, new, 1))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(DeclarationError, match=r"model\.toml: No such file"):
        load_declaration(tmp_path / "model.toml")
