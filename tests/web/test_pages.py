"""What a person without script gets: the form, the answer with its reasons, errors beside their fields."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from fakes import FakePredictor, fake_declaration, fake_version
from server import BABY
from werkzeug.test import Client, TestResponse

from stork.access.gate import Gate
from stork.config import Settings
from stork.errors import BackendError
from stork.schema.tensors import Tensors
from stork.web.admission import Admission
from stork.web.app import create_app, create_pages
from stork.web.forms import text_of

FILLED = {name: text_of(value) for name, value in BABY.items()}


class Reader(HTMLParser):
    """Notes every element with its attributes, and the text inside elements of each tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def find(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Attributes of the elements of a tag that have these attributes; `id_` is `id`."""
        given = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [a for t, a in self.elements if t == tag and given.items() <= a.items()]


def read(response: TestResponse) -> Reader:
    return Reader(response.get_data(as_text=True))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The whole application over the shipped model, in this process."""
    folder = tmp_path_factory.mktemp("pages")
    door = create_app(Settings(root=folder / "var", log=str(folder / "log")))
    yield Client(door)
    door.predictor.stop()


@pytest.fixture
def serve(settings: Settings) -> Callable[..., Client]:
    """A function that serves one fake model of these features and outputs, answered by a function."""

    def start(function: Callable[[Tensors], Tensors], features: Any, outputs: Any, **more: Any) -> Client:
        declaration = fake_declaration(features, outputs, **more)
        predictor: Any = FakePredictor(declaration, fake_version(declaration, function, [{}]))
        return Client(create_pages(settings, predictor, Admission(Gate(settings), settings), b"secret"))

    return start


NUMBER = [{"name": "in", "kind": "number", "range": [0, 9], "required": False, "tensor": {"missing": 0}}]


def test_the_form_has_a_field_for_every_feature(client: Client, schema: Any) -> None:
    """A page without script holds every feature, under the name that JSON knows it by."""
    page = read(client.get("/"))

    names = {attributes.get("name") for tag, attributes in page.elements if tag in ("input", "select")}
    assert names == {feature.name for feature in schema.features}
    assert page.texts["button"] == ["PREDICT"]


def test_an_answer_names_its_version_and_prediction(client: Client) -> None:
    """The page and its headers say what answered."""
    response = client.post("/", data=FILLED)

    assert response.status_code == 200
    assert response.headers["X-Model-Version"] == "1"
    assert response.headers["X-Prediction-Id"] in response.get_data(as_text=True)


def test_an_answer_is_the_one_that_the_api_gives(client: Client) -> None:
    """The number in the output is the API's, to two digits, with its unit; the others follow from it."""
    pounds = client.post("/api/predict", json=BABY).get_json()["predictions"][0]["weight_pounds"]

    page = read(client.post("/models/babyweight", data=FILLED))

    assert page.texts["output"] == [f"{pounds:.2f} lb"]
    assert any(f"{pounds * 0.45359237:.2f} kg" in text for text in page.texts["p"])


def test_an_answer_keeps_what_was_typed(client: Client) -> None:
    """The page comes back with the values that were sent, not with the defaults."""
    page = read(client.post("/", data=FILLED | {"mother_age": "31", "plurality": "2", "mother_race": "48"}))

    assert page.find("input", name="mother_age")[0]["value"] == "31"
    assert "checked" in page.find("input", name="plurality", value="2")[0]
    assert [option["value"] for option in page.find("option") if "selected" in option] == ["48"]


def test_an_answer_is_explained_in_numbers(client: Client) -> None:
    """Both plots have their table: every feature with its value in words, and the curve with the own value marked."""
    page = read(client.post("/", data=FILLED))

    assert {"Gestation: 39 weeks", "Baby's gender: Male", "Cigarette use: Unknown"} <= set(page.texts["th"])
    assert "39 (yours)" in page.texts["th"]
    assert [figure["aria-label"] for figure in page.find("figure")] == [
        "What each value contributed",
        "Weight at birth along gestation",
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("mother_age", "900"), ("mother_age", "1,000"), ("gestation_weeks", ""), ("mother_age", "1.5")]
)
def test_an_error_stands_beside_its_field(client: Client, name: str, text: str) -> None:
    """What was typed stays, the field says it is wrong and points to the sentence, and the summary links to it."""
    response = client.post("/", data=FILLED | {name: text})
    page = read(response)

    (field,) = page.find("input", name=name)
    assert (response.status_code, field["value"], field["aria-invalid"]) == (400, text, "true")
    assert page.find("p", id_=field["aria-describedby"].split()[0], class_="error")
    assert page.find("a", href=f"#{field['id']}")


def test_a_group_of_buttons_has_its_error_too(client: Client) -> None:
    """A choice that does not exist is refused beside its group; the summary links to the first button."""
    page = read(client.post("/", data=FILLED | {"plurality": "9"}))

    (group,) = page.find("fieldset", aria_invalid="true")
    assert page.find("p", id_=group["aria-describedby"].split()[0], class_="error")
    assert page.find("a", href="#" + page.find("input", name="plurality")[0]["id"])


def test_nothing_sent_is_not_the_defaults(client: Client) -> None:
    """An empty POST is four missing values, not a prediction for somebody average."""
    response = client.post("/")

    assert response.status_code == 400
    assert len(read(response).find("p", class_="error")) == 4


def test_what_was_typed_is_never_markup(client: Client) -> None:
    """A text comes back as text, in the field, in the sentence and in the curl line."""
    text = "\"'><script>alert(1)</script>"
    page = client.post("/", data=FILLED | {"mother_age": text}).get_data(as_text=True)

    assert "<script>alert" not in page
    assert Reader(page).find("input", name="mother_age")[0]["value"] == text


def test_the_curl_line_asks_the_same(client: Client) -> None:
    """The page shows a program's way to the same answer, with these very values."""
    page = read(client.post("/", data=FILLED | {"mother_age": "31"}))

    (line,) = page.texts["code"][-1:]
    assert '"mother_age": 31' in line and '"is_male": true' in line and "/api/predict" in line


def test_the_notice_stands_on_the_page(client: Client, declaration: Any) -> None:
    """What the data's owner asks to be said is said."""
    assert declaration.model.notice in read(client.get("/")).texts["footer"][0]


def test_an_unknown_model_is_a_page_that_says_so(client: Client) -> None:
    """404 with the names of those that exist, in the place htmx swaps."""
    response = client.get("/models/nobody")

    assert response.status_code == 404
    assert "babyweight" in read(response).texts["p"][0]
    assert read(response).find("div", id_="page")


def test_a_page_holds_no_script_and_no_style_of_its_own(client: Client) -> None:
    """The policy allows none: every script is a file of ours, no element has a style or a handler."""
    page = read(client.post("/", data=FILLED))

    assert all(attributes.get("src", "").startswith("/static/") for attributes in page.find("script"))
    assert not [name for _, attributes in page.elements for name in attributes if re.match(r"style$|on", name)]
    assert not page.find("style")


def test_a_model_of_several_outputs_shows_them_all(serve: Callable[..., Client]) -> None:
    """Numbers, lists and strings each get their place; the first number is the one explained."""
    outputs = [
        {"name": "kind", "tensor": {"dtype": "string"}},
        {"name": "risk", "title": "Risk"},
        {"name": "odds", "tensor": {"shape": [-1, 2]}},
    ]

    def function(tensors: Tensors) -> Tensors:
        x = tensors["in"]
        return {"kind": np.array([b"dear"] * len(x), object), "risk": x / 100, "odds": np.stack([x, x + 1], axis=1)}

    page = read(serve(function, NUMBER, outputs).post("/", data={"in": "5"}))

    assert page.texts["output"] == ["dear", "0.05", "5.00, 6.00"]
    assert any(text.startswith("Risk: on average over 1 examples") for text in page.texts["p"])


def test_a_model_that_cannot_be_explained_says_so(serve: Callable[..., Client]) -> None:
    """A sentence stands where the plot would, and the answer stands."""
    client = serve(lambda t: {"y": np.array([b"dear"], object)}, NUMBER, [{"name": "y", "tensor": {"dtype": "string"}}])

    page = read(client.post("/", data={"in": "5"}))

    assert page.texts["output"] == ["dear"]
    assert any("does not predict a single number" in text for text in page.texts["p"])


def test_a_backend_that_fails_leaves_the_form_as_it_was(serve: Callable[..., Client]) -> None:
    """Nobody has to type again because a server failed."""

    def fail(tensors: Tensors) -> Tensors:
        raise BackendError("the model is on holiday")

    response = serve(fail, NUMBER, [{"name": "y"}]).post("/", data={"in": "5"})
    page = read(response)

    assert response.status_code == 502
    assert any("on holiday" in text for text in page.texts["p"])
    assert page.find("input", name="in")[0]["value"] == "5"


def test_a_curve_is_drawn_only_where_one_is_declared(serve: Callable[..., Client]) -> None:
    """Without `[form] what_if` there is no such part."""
    page = read(serve(lambda t: {"y": t["in"]}, NUMBER, [{"name": "y"}]).post("/", data={"in": "5"}))

    assert "What if" not in page.texts["h2"]


def test_an_unknown_own_value_is_not_marked(serve: Callable[..., Client]) -> None:
    """The curve of a feature that was left out is drawn, and claims no mark."""
    client = serve(lambda t: {"y": t["in"]}, NUMBER, [{"name": "y"}], form={"what_if": "in"})

    page = client.post("/", data={"in": ""}).get_data(as_text=True)

    assert "What if" in page and "Your value is marked" not in page and "(yours)" not in page
