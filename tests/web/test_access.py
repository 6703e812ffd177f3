"""Keys, limits and identities as clients meet them: on real servers."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from issuer_server import IssuerServer
from redis_server import start_redis
from server import BABY, Response, Server, free_port, start_server
from signing import TokenSigner
from visitor import Visitor

from stork.access.id_tokens import IAP_ISSUER
from stork.access.key_store import KeyStore
from stork.config import Settings
from stork.errors import Forbidden, QuotaExceeded, StorkError, Unauthorized
from stork.store.audit import last_lines
from stork.store.prediction_log import read_records
from stork.web.dialects import Dialect
from stork.web.door import DIALECTS

ALICE = {"iss": IAP_ISSUER, "aud": "/projects/1/apps/p", "email": "alice@example.com", "sub": "1"}
BOB = {**ALICE, "email": "bob@example.com", "sub": "2"}

# The other required features, in columns.
OTHERS = {"mother_race": 1, "gestation_weeks": 39, "plurality": 1}


class Closed(NamedTuple):
    """A running deployment that asks for keys, and what a test needs to have some made or signed."""

    server: Server
    store: KeyStore
    proxy: TokenSigner

    def ask(self, key: str = "", body: Any = BABY, path: str = "/api/predict", **headers: str) -> Response:
        """One prediction, with a key or other headers."""
        return self.server.request("POST", path, body, **({"X_API_Key": key} if key else {}), **headers)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """Two workers; Identity-Aware Proxy is accepted, and alice may operate."""
    folder, proxy = tmp_path_factory.mktemp("closed"), TokenSigner("ES256")
    with IssuerServer([proxy]).running() as issuer:
        settings = Settings(
            root=folder / "var",
            log=str(folder / "log"),
            access="keys",
            iap_audience=ALICE["aud"],
            iap_keys=f"{issuer.url}/public_key",
            identities=("alice@example.com=operate", "*@example.com=predict"),
        )
        with start_server(settings, workers=2) as server:
            yield Closed(server, KeyStore(settings.root), proxy)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (Unauthorized("who?"), 401, ("WWW-Authenticate", 'Bearer realm="stork"')),
        (Forbidden("no"), 403, None),
        (QuotaExceeded("enough", 41.2), 429, ("Retry-After", "42")),
    ],
    ids=["401", "403", "429"],
)
def test_every_dialect_refuses_in_its_own_shape(dialect: Dialect, error: StorkError, status: int, header: Any) -> None:
    """With the status and the header that clients of any of them wait for, and the reason in the body."""
    reply = dialect.refuse(error)

    assert reply.status == status and (header is None or header in reply.headers)
    assert str(error).encode() in reply.body


PREDICT = {
    "api": "/api/predict",
    "tensorflow_serving": "/v1/models/babyweight:predict",
    "vertex": "/v1/projects/p/locations/l/endpoints/babyweight:predict",
    "mlengine": "/v1/projects/p/models/babyweight:predict",
}
AGES = {"name": "mother_age", "datatype": "FP32", "shape": [3], "data": [20, 30, 40]}


def test_rows_of_the_open_inference_protocol_are_counted_too(closed: Closed) -> None:
    """Its bodies are columns: three values are three rows."""
    token = closed.store.create("team", "predict", rows="4/month")[1]
    inputs = [AGES, *({**AGES, "name": name, "data": [value] * 3} for name, value in OTHERS.items())]
    answers = [closed.ask(token, {"inputs": inputs}, "/v2/models/babyweight/infer").status for _ in range(2)]

    assert answers == [200, 429]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_probes_of_the_open_inference_protocol_need_no_key(closed: Closed, path: str) -> None:
    """What orchestrators ask carries none; metadata of the server does."""
    assert closed.server.request("GET", path).status == 200
    assert closed.server.request("GET", "/v2").status == 401


@pytest.mark.parametrize("path", PREDICT.values(), ids=PREDICT.keys())
def test_a_stranger_is_asked_for_a_key(closed: Closed, path: str) -> None:
    """401 with what to send, as JSON; with a key the same request is answered."""
    refused = closed.ask(path=path, body={"instances": [BABY]})
    answered = closed.ask(closed.store.create("team", "predict")[1], path=path, body={"instances": [BABY]})

    assert refused.status == 401 and b"X-API-Key: <key>), received none" in refused.body
    assert answered.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/style.css"])
def test_health_needs_no_key(closed: Closed, path: str) -> None:
    """Load balancers and the sign-in page work for everybody."""
    assert closed.server.request("GET", path).status == 200


@pytest.mark.parametrize("path", ["/", "/models/babyweight", "/models/babyweight/versions", "/api/models"])
def test_nothing_of_a_model_is_shown_to_strangers(closed: Closed, path: str) -> None:
    """Not even its name: pages ask to sign in, the API says what it expects."""
    answer = closed.server.request("GET", path)

    assert answer.status == 401 and b"Baby weight" not in answer.body and b"mother" not in answer.body


V2, TENSORFLOW_SERVING = "/v2/models/babyweight", "/v1/models/babyweight"


@pytest.mark.parametrize(
    "path", [V2, f"{V2}/ready", f"{V2}/config", TENSORFLOW_SERVING, f"{TENSORFLOW_SERVING}/metadata"]
)
def test_who_may_predict_may_ask_what_for(closed: Closed, path: str) -> None:
    """Clients of these dialects ask for a model's inputs and whether it is ready before they send any."""
    token = closed.store.create("team", "predict")[1]
    asked = closed.server.request("GET", path, Authorization=f"Bearer {token}")

    assert (asked.status, closed.server.request("GET", path).status) == (200, 401)
    assert closed.server.request("GET", f"{V2}/stats", Authorization=f"Bearer {token}").status == 403


@pytest.mark.parametrize(("role", "status"), [("predict", 403), ("read", 200), ("operate", 200)])
def test_looking_needs_the_role_read(closed: Closed, role: Any, status: int) -> None:
    """A key that may only predict does not see versions."""
    key = closed.store.create("team", role)[1]

    assert closed.server.request("GET", "/api/models/babyweight", X_API_Key=key).status == status


def test_a_revoked_key_stops_working_in_every_worker(closed: Closed) -> None:
    """A second later, though each of them had let it in before."""
    key, token = closed.store.create("team", "predict")
    assert {closed.ask(token).status for _ in range(20)} == {200}
    closed.store.revoke(key.id)
    time.sleep(1)

    assert {closed.ask(token).status for _ in range(20)} == {401}


def test_workers_share_a_quota(closed: Closed) -> None:
    """Two workers let through exactly as many as the key allows, and say when there will be more."""
    token = closed.store.create("team", "predict", requests="20/month")[1]
    answers = [closed.ask(token) for _ in range(30)]

    assert [answer.status for answer in answers] == [200] * 20 + [429] * 10
    assert int(answers[-1].headers["retry-after"]) > 1 and "20 requests per month" in answers[-1].json["error"]


@pytest.mark.parametrize("path", ["/api/predict", "/v1/models/babyweight:predict", "/api/models"])
def test_an_answer_tells_what_is_left_of_a_quota(closed: Closed, path: str) -> None:
    """With the answer and with the refusal, of dialects and rare routes; a key without quotas hears nothing of it."""
    token = closed.store.create("team", "read", requests="1/day")[1]
    method, body = ("GET", None) if path == "/api/models" else ("POST", {"instances": [BABY]})
    answered, refused = (closed.server.request(method, path, body, X_API_Key=token).headers for _ in range(2))
    unlimited = closed.server.request(method, path, body, X_API_Key=closed.store.create("team", "read")[1])

    assert [answered[f"x-ratelimit-{name}"] for name in ("limit", "remaining")] == ["1", "0"]
    assert answered["ratelimit-policy"] == '"requests";q=1;w=86400' and int(answered["x-ratelimit-reset"]) % 86_400 == 0
    assert refused["ratelimit"].startswith('"requests";r=0;t=') and "x-ratelimit-limit" not in unlimited.headers


def test_rows_are_told_beside_requests(closed: Closed) -> None:
    """As a policy of its own; X-RateLimit-* tell of rows where there is no other quota."""
    both = closed.ask(closed.store.create("team", "predict", requests="5/day", rows="9/minute")[1]).headers
    rows = closed.ask(closed.store.create("team", "predict", rows="9/minute")[1]).headers

    assert both["ratelimit-policy"] == '"requests";q=5;w=86400, "rows";q=9;qu="rows";w=60'
    assert (both["x-ratelimit-limit"], rows["x-ratelimit-limit"], rows["x-ratelimit-remaining"]) == ("5", "9", "8")


def test_an_explanation_costs_the_rows_it_takes(closed: Closed) -> None:
    """Every coalition of the features with every background row; one that does not fit is refused before it is made."""
    path, body = PREDICT["vertex"].replace(":predict", ":explain"), {"instances": [BABY]}
    rows = 1 + 2**8 * 64
    token = closed.store.create("team", "predict", rows=f"{2 * rows - 1}/month")[1]
    answered, refused = (closed.ask(token, body, path) for _ in range(2))

    assert (answered.status, refused.status) == (200, 429)
    assert refused.headers["x-ratelimit-remaining"] == str(rows - 1)


@pytest.mark.parametrize("path", PREDICT.values(), ids=PREDICT.keys())
def test_a_large_request_is_counted_by_its_rows(closed: Closed, path: str) -> None:
    """Not as one: the second thousand does not fit, a few rows still do; the refused one is in the log."""
    key, token = closed.store.create("team", "predict", rows="1500/month")
    thousand = {"instances": [BABY] * 1000}
    answers = [closed.ask(token, body, path) for body in (thousand, thousand, {"instances": [BABY] * 500})]
    logged = [r for r in read_records(Path(closed.server.settings.log) / "babyweight") if r["caller"].endswith(key.id)]

    assert [answer.status for answer in answers] == [200, 429, 200]
    assert sorted(record["status"] for record in logged) == [200, 200, 429]
    assert {record["caller"] for record in logged} == {f"team/{key.id}"}


def test_no_key_is_ever_written_down(closed: Closed) -> None:
    """Neither the prediction log, nor the audit, nor stderr, nor the root has it."""
    key, token = closed.store.create("team", "predict")
    closed.ask(token)
    closed.ask(token + "x")
    closed.server.request("PUT", "/api/models/babyweight/aliases/stable", {"version": 1}, X_API_Key=token)
    # Not what follows the last "_": the secret is base64url and may hold one.
    secret = token.partition(f"{key.id}_")[2].encode()
    assert len(secret) == 43
    folder = closed.server.settings.root.parent

    assert not [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_a_change_says_who_made_it(closed: Closed) -> None:
    """The audit has the key's name, the address, the program, and what it was before."""
    key, token = closed.store.create("ops", "operate")
    headers = {"Authorization": f"Bearer {token}", "User_Agent": "robot/1"}
    answer = closed.server.request("PUT", "/api/models/babyweight/aliases/canary", {"version": 1}, **headers)
    line = last_lines(closed.server.settings, 1)[0]

    assert answer.status == 200 and (line["what"], line["outcome"], line["before"]) == ("alias", "done", None)
    told = [line[name] for name in ("who", "door", "address", "agent", "after")]
    assert told == [f"ops/{key.id}", "api", "127.0.0.1", "robot/1", 1]


@pytest.mark.parametrize("role", [None, "read"])
def test_a_refused_change_is_in_the_audit(closed: Closed, role: Any) -> None:
    """Who is nobody, and who may not, are told with the path they asked for."""
    headers = {} if role is None else {"X_API_Key": closed.store.create("nosy", role)[1]}
    answer = closed.server.request("PUT", "/api/models/babyweight/aliases/stable", {"version": 1}, **headers)
    line = last_lines(closed.server.settings, 1)[0]

    assert answer.status == (401 if role is None else 403)
    assert (line["outcome"], line["path"]) == ("refused", "/api/models/babyweight/aliases/stable")
    assert line["who"].partition("/")[0] == ("nobody" if role is None else "nosy")


def test_a_person_signs_in_with_a_key_and_predicts(closed: Closed) -> None:
    """The form comes after the key, and its predictions are the key's; after signing out it is gone again."""
    key, token = closed.store.create("midwives", "predict", rows="1/month")
    visitor = Visitor(closed.server, "/models/babyweight")
    assert "Your key" in visitor.look() and "PREDICT" not in visitor.page
    assert visitor.sign_in(token).headers["location"] == "/models/babyweight"
    assert "PREDICT" in visitor.look() and "midwives" in visitor.page and key.id not in visitor.page

    fields = {"mother_race": "1", "mother_age": "28", "gestation_weeks": "39", "plurality": "1"}
    assert visitor.send(**fields).status == 200
    answer = visitor.send(**fields)
    assert answer.status == 429 and b"quota of 1 rows per month" in answer.body and b"PREDICT" in answer.body
    visitor.look()
    visitor.send("/sign-out")
    assert "Your key" in visitor.look()


def test_a_wrong_key_is_told_beside_the_field_and_in_the_audit(closed: Closed) -> None:
    """The same form again, with what was wrong; the key that was tried is not kept."""
    visitor = Visitor(closed.server, "/")
    visitor.look()
    answer = visitor.sign_in("stork_0123abcd_" + "x" * 43)
    line = last_lines(closed.server.settings, 1)[0]

    assert answer.status == 401 and b'aria-describedby="key-problem"' in answer.body
    assert (line["what"], line["outcome"], line["door"]) == ("sign-in", "refused", "page") and "xxx" not in str(line)


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""])
def test_signing_in_leads_nowhere_else(closed: Closed, onward: str) -> None:
    """A link to our sign-in page cannot send people to another site."""
    visitor = Visitor(closed.server, "/")
    visitor.look()
    answer = visitor.send("/sign-in", key=closed.store.create("team", "predict")[1], next=onward)

    assert answer.status == 303 and answer.headers["location"] == "/"


def test_who_passed_the_proxy_needs_no_key(closed: Closed) -> None:
    """Pages, predictions and, for who may, changes; the log knows them by their address."""
    token = closed.proxy.sign(ALICE)
    page = closed.server.request("GET", "/models/babyweight/versions", X_Goog_IAP_JWT_Assertion=token)
    answer = closed.ask(X_Goog_IAP_JWT_Assertion=token)
    logged = [record.get("caller") for record in read_records(Path(closed.server.settings.log) / "babyweight")]

    assert page.status == 200 and "Your key" not in page.body.decode()
    assert answer.status == 200 and "alice@example.com" in logged


@pytest.mark.parametrize(
    ("claims", "site", "status"),
    [
        (ALICE, "cross-site", 403),
        (ALICE, "same-site", 403),
        (BOB, "none", 403),
        ({**ALICE, "aud": "other"}, "none", 401),
    ],
)
def test_an_identity_alone_changes_nothing(closed: Closed, claims: Any, site: str, status: int) -> None:
    """Another site's page, a person of a lesser role and another application's token are refused."""
    headers = {"X_Goog_IAP_JWT_Assertion": closed.proxy.sign(claims), "Sec_Fetch_Site": site}
    answer = closed.server.request("PUT", "/api/models/babyweight/aliases/stable", {"version": 1}, **headers)

    assert answer.status == status


@pytest.mark.parametrize(
    "header",
    ["X-Goog-Authenticated-User-Email", "X-Appengine-User-Email", "X-Appengine-User-Is-Admin", "X-Appengine-Cron"],
)
def test_a_forged_header_opens_nothing(closed: Closed, header: str) -> None:
    """What Google's front ends write, anybody else can write too: it is not believed, and not audited as true."""
    forged = {header: "accounts.google.com:alice@example.com", "X-Appengine-User-IP": "192.0.2.1"}
    answer = closed.server.request("PUT", "/api/models/babyweight/aliases/stable", {"version": 1}, **forged)
    line = last_lines(closed.server.settings, 1)[0]

    assert answer.status == 401 and (line["who"], line["address"]) == ("nobody", "127.0.0.1")


def test_two_machines_share_a_key_through_redis(tmp_path: Path) -> None:
    """Two servers let through together what one key allows; when Redis is gone they answer still, and say so."""
    port = free_port()
    settings = Settings(
        root=tmp_path / "var", log=str(tmp_path / "log"), access="keys", limits_url=f"redis://127.0.0.1:{port}/0"
    )
    token = KeyStore(settings.root).create("team", "predict", requests="10/month", rows="1000/month")[1]

    def ask(server: Server) -> int:
        return server.request("POST", "/api/predict", BABY, X_API_Key=token).status

    with start_server(settings) as one, start_server(settings) as two:
        with start_redis(tmp_path, port):
            assert [ask(server) for server in [one, two] * 8] == [200] * 10 + [429] * 6
            assert "limits" not in one.request("GET", "/readyz").json
        assert ask(one) == 200 and ask(two) == 200
        ready = one.request("GET", "/readyz")

    assert ready.status == 200 and "each machine counts for itself" in ready.json["limits"]
    assert one.stderr.read_text().count("STORK_LIMITS_URL does not answer") == 1
