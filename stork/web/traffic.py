"""Who gets which requests, for programs: set the split and the shadow, read the shadow's sums, remove an alias."""

from typing import TypeVar

import msgspec
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from stork.errors import BadRequest
from stork.publishing.traffic import cast_shadow, split_traffic
from stork.store.audit import audit_refusal
from stork.store.serving_state import Shadow
from stork.store.traffic import remove_alias
from stork.web.admin import json_response, sum_shadows
from stork.web.health import find_predictor

api = Blueprint("traffic_api", __name__, url_prefix="/api/models")


class NewTraffic(msgspec.Struct, forbid_unknown_fields=True):
    """Percents by alias, null: all to stable; with a generation only if the state is still of that one."""

    traffic: dict[str, int] | None
    generation: int | None = None


class NewShadow(msgspec.Struct, forbid_unknown_fields=True):
    """The shadow, null: none; with a generation only if the state is still of that one."""

    shadow: Shadow | None
    generation: int | None = None


Body = TypeVar("Body", NewTraffic, NewShadow)


@api.put("/<name>/traffic")
def put_traffic(name: str) -> ResponseReturnValue:
    """Split the requests that ask for no version: `{"traffic": {"stable": 90, "canary": 10}}`, null: all to stable."""
    asked = read_change(NewTraffic)
    return json_response(vars(split_traffic(find_predictor().settings, name, asked.traffic, "api", asked.generation)))


@api.put("/<name>/shadow")
def put_shadow(name: str) -> ResponseReturnValue:
    """Let a version answer copies: `{"shadow": {"version": 4, "share": 10}}`, or an "alias"; null: none does."""
    asked = read_change(NewShadow)
    return json_response(vars(cast_shadow(find_predictor().settings, name, asked.shadow, "api", asked.generation)))


@api.get("/<name>/shadow")
def show_shadow(name: str) -> ResponseReturnValue:
    """The shadow, and what all server processes found of it, by version."""
    predictor = find_predictor()
    predictor.registry.home(name)
    shadow = predictor.registry.state(name).shadow
    return json_response({"model": name, "shadow": shadow, "sums": sum_shadows(predictor, name)})


@api.delete("/<name>/aliases/<alias>")
def delete_alias(name: str, alias: str) -> ResponseReturnValue:
    """Forget an alias that gets no traffic."""
    registry = find_predictor().registry
    with audit_refusal(registry.settings, "alias", model=name, alias=alias, after=None):
        state = remove_alias(registry, name, alias, "api")
    return json_response({"model": name, "aliases": registry.aliases(name), "generation": state.generation})


def read_change(kind: type[Body]) -> Body:
    """
    The body of a request that changes something.

    Raises:
        BadRequest: it is not of this kind; the message says where.
    """
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"body: {error}") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"body: malformed JSON: {error}") from error
