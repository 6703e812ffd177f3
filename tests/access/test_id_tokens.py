"""Tokens signed with real keys, which a loopback server publishes."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from issuer_server import IssuerServer
from signing import TokenSigner, base64url, encode_part

from stork.access.id_tokens import IAP_ISSUER, Identities, Issuer
from stork.access.keys import Role
from stork.errors import BackendUnavailable, SettingError, Unauthorized

AUDIENCE = "/projects/1/apps/p"
ALICE = {"iss": IAP_ISSUER, "aud": AUDIENCE, "email": "alice@example.com", "sub": "accounts.google.com:1"}


@pytest.fixture(scope="module")
def signer() -> TokenSigner:
    return TokenSigner("ES256")


@pytest.fixture
def server(signer: TokenSigner) -> Iterator[IssuerServer]:
    with IssuerServer([signer]).running() as server:
        yield server


@pytest.fixture
def proxy(server: IssuerServer) -> Issuer:
    """Identity-Aware Proxy, whose keys are on the loopback server."""
    return Issuer(IAP_ISSUER, AUDIENCE, f"{server.url}/public_key")


def test_who_passed_the_proxy_is_known_by_address(proxy: Issuer, signer: TokenSigner, server: IssuerServer) -> None:
    """The keys are asked for once, and a token that was verified is not verified again."""
    tokens = [signer.sign({**ALICE, "nonce": str(number)}) for number in range(3)]

    assert {proxy.identify(token) for token in tokens * 3} == {"alice@example.com"}
    assert server.asked == ["/public_key"]


def forge_none(signer: TokenSigner) -> str:
    now = int(time.time())
    return f"{encode_part({'alg': 'none', 'kid': 'key-1'})}.{encode_part({**ALICE, 'iat': now, 'exp': now + 9})}."


def forge_with_public_key(signer: TokenSigner) -> str:
    """HMAC with the public key as its secret: what libraries that trust the header's alg accept."""
    import hashlib
    import hmac

    now = int(time.time())
    signed = f"{encode_part({'alg': 'HS256', 'kid': 'key-1'})}.{encode_part({**ALICE, 'iat': now, 'exp': now + 9})}"
    return f"{signed}.{base64url(hmac.new(signer.pem().encode(), signed.encode(), hashlib.sha256).digest())}"


def tamper(signer: TokenSigner) -> str:
    head, _, signature = signer.sign(ALICE).split(".")
    now = int(time.time())
    return f"{head}.{encode_part({**ALICE, 'email': 'root@example.com', 'iat': now, 'exp': now + 9})}.{signature}"


@pytest.mark.parametrize(
    "forge",
    [
        lambda signer: signer.sign({**ALICE, "aud": "/projects/2/apps/q"}),
        lambda signer: signer.sign({**ALICE, "iss": "https://accounts.google.com"}),
        lambda signer: signer.sign({**ALICE, "exp": int(time.time()) - 60}),
        lambda signer: signer.sign({**ALICE, "iat": int(time.time()) + 600}),
        lambda signer: signer.sign({**ALICE, "exp": "tomorrow"}),
        lambda signer: signer.sign({**ALICE, "email": None, "sub": None}),
        lambda signer: TokenSigner("ES256").sign(ALICE),
        lambda signer: TokenSigner("RS256").sign(ALICE),
        lambda signer: TokenSigner("ES256", "another").sign(ALICE),
        forge_none,
        forge_with_public_key,
        tamper,
        lambda signer: "a.b.c",
        lambda signer: f"{base64url(b'[]')}.{base64url(b'[]')}.x",
        lambda signer: "..",
        lambda signer: "\ud800.\ud800.é",
    ],
)
def test_a_token_that_is_not_right_is_refused(proxy: Issuer, signer: TokenSigner, forge: Any) -> None:
    """Another audience, issuer, time, key or algorithm; also nonsense. It is never an error of ours."""
    with pytest.raises(Unauthorized):
        proxy.identify(forge(signer))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_any_issuer_is_found_by_its_name(algorithm: str) -> None:
    """OpenID Connect says where the keys are: nothing but the issuer and the audience is configured."""
    signer = TokenSigner(algorithm)
    with IssuerServer([signer]).running() as server:
        claims = {"iss": server.url, "aud": "stork", "sub": "7", "email": "robot@example.com", "email_verified": True}
        assert Issuer(server.url, "stork").identify(signer.sign(claims)) == "robot@example.com"
        assert server.asked == ["/.well-known/openid-configuration", "/jwks"]


def test_an_address_that_nobody_verified_is_not_believed() -> None:
    """Whoever may choose their own address is known by their subject only."""
    signer = TokenSigner("RS256")
    with IssuerServer([signer]).running() as server:
        claims = {"iss": server.url, "aud": "stork", "sub": "7", "email": "root@example.com"}
        issuer = Issuer(server.url, "stork")
        named = {issuer.identify(signer.sign({**claims, "email_verified": said})) for said in (False, None, "true")}

        assert named == {"sub:7"}


def test_a_token_is_refused_once_it_has_ended(proxy: Issuer, signer: TokenSigner) -> None:
    """It is remembered until then, and no longer: the library's thirty seconds for clocks are not remembered."""
    token = signer.sign({**ALICE, "exp": int(time.time()) - 29})
    assert proxy.identify(token) == "alice@example.com"
    deadline = time.monotonic() + 10
    with pytest.raises(Unauthorized, match="expired"):
        while time.monotonic() < deadline:
            proxy.identify(token)
            time.sleep(0.1)


def test_without_the_issuers_keys_nobody_is_told_they_are_wrong(
    proxy: Issuer, signer: TokenSigner, server: Any
) -> None:
    """503, and not asked again with every request; keys that were had once go on being used."""
    server.down = True
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            proxy.identify(signer.sign(ALICE))

    assert server.asked == ["/public_key"]


def test_unknown_keys_do_not_make_us_ask_each_time(proxy: Issuer, signer: TokenSigner, server: IssuerServer) -> None:
    """A stream of tokens that name keys of nobody costs the issuer no more than one request in ten seconds."""
    proxy.identify(signer.sign(ALICE))
    for number in range(20):
        with pytest.raises(Unauthorized):
            proxy.identify(signer.sign(ALICE, kid=f"unknown-{number}"))

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("identity", "role"),
    [
        ("alice@example.com", "operate"),
        ("Alice@Example.com", "operate"),
        ("bob@example.com", "predict"),
        ("bob@example.com.evil.org", "read"),
        ("bob@evilexample.com", "read"),
        ("sub:7", "read"),
    ],
)
def test_the_nearest_rule_says_the_role(identity: str, role: Role) -> None:
    """An address, else its whole domain, else everybody."""
    assert Identities(("*@example.com=predict", "alice@example.com=operate", "*=read")).role(identity) == role


def test_who_is_in_no_rule_has_no_role() -> None:
    """To be known is not to be allowed."""
    assert Identities(("alice@example.com=operate",)).role("bob@example.com") == "anyone"


@pytest.mark.parametrize("rule", ["alice", "=read", "a@b=root", "a@b=anyone", "*.com=read", "*@*=read", "a*@b.c=read"])
def test_a_rule_that_is_none_stops_the_start(rule: str) -> None:
    """A star in a place where it would not do what it looks like is refused."""
    with pytest.raises(SettingError, match="STORK_IDENTITIES"):
        Identities((rule,))
