"""Who signed in elsewhere: ID tokens of Identity-Aware Proxy or any OpenID Connect issuer, verified with its keys."""

import base64
import hashlib
import json
import re
import threading
import time
from typing import Any

from stork.access.keys import ROLES, Role
from stork.errors import BackendUnavailable, SettingError, Unauthorized
from stork.turn import pass_turn

IAP_ISSUER = "https://cloud.google.com/iap"
REMEMBERED = 1024
FETCH_SECONDS = 5.0
KEYS_SECONDS = 3600.0  # how long keys are used where the answer does not say
SOONEST = 10.0  # between two looks for keys: a token that names an unknown one must not make us ask each time
SKEW = 30  # seconds by which the issuer's clock may differ


class Issuer:
    """
    One issuer of tokens for one audience. Verified tokens are remembered until they end, so most cost one digest.

    `keys_url` empty: the one that the issuer's `.well-known/openid-configuration` names.
    """

    def __init__(self, issuer: str, audience: str, keys_url: str = "") -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys_url = keys_url
        self._keys: dict[str, bytes] = {}
        self._keys_end = self._next_look = 0.0
        self._verified: dict[bytes, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def identify(self, token: str) -> str:
        """
        Who the token says its bearer is: a verified e-mail address, else `sub:` and the subject.

        Raises:
            Unauthorized: the signature, the issuer, the audience or the time is wrong.
            BackendUnavailable: the issuer's keys cannot be had.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None and time.time() < known[1]:
            return known[0]
        claims = self._verify(token)
        identity = name_bearer(claims, trusts_email=self._issuer == IAP_ISSUER)
        with self._lock:
            while len(self._verified) >= REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = identity, float(claims["exp"])
        return identity

    def _verify(self, token: str) -> dict[str, Any]:
        from google.auth import exceptions, jwt

        pass_turn()
        try:
            keys = self._keys_for(jwt.decode_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(token, keys, audience=self._audience, clock_skew_in_seconds=SKEW)
            issuer = claims.get("iss")
        except (ValueError, TypeError, KeyError, AttributeError, exceptions.GoogleAuthError) as error:
            raise Unauthorized(f"expected an ID token of {self._issuer} for {self._audience}: {error}") from None
        if issuer != self._issuer:  # google-auth does not look
            raise Unauthorized(f"expected an ID token of {self._issuer}, received one of {str(issuer)[:80]}")
        return claims

    def _keys_for(self, name: Any) -> dict[str, bytes]:
        """The issuer's keys as PEM, by id; looked up again when they are old, or lack the one that is named."""
        with self._lock:
            now = time.monotonic()
            if (now >= self._keys_end or name not in self._keys) and now >= self._next_look:
                self._next_look = now + SOONEST
                try:
                    self._keys, seconds = fetch_keys(self._keys_url or find_keys_url(self._issuer))
                    self._keys_end = now + seconds
                except BackendUnavailable:
                    if name not in self._keys:
                        raise
            elif not self._keys:
                raise BackendUnavailable(f"the keys of {self._issuer} could not be had a moment ago")
            return self._keys


class Identities:
    """`STORK_IDENTITIES`: the role of who signed in. An address by itself wins over `*@domain`, that over `*`."""

    def __init__(self, rules: tuple[str, ...]) -> None:
        """
        Raises:
            SettingError: a rule is not `pattern=role`.
        """
        self._roles: dict[str, Role] = {}
        for rule in rules:
            pattern, _, role = rule.rpartition("=")
            if role not in ROLES[1:] or not re.fullmatch(r"\*|\*@[^*@]+|[^*]+", pattern):
                raise SettingError(
                    "STORK_IDENTITIES: expected <address>, *@<domain> or *, then =<role> "
                    f"({', '.join(ROLES[1:])}); received {rule!r}"
                )
            self._roles[pattern.lower()] = ROLES[ROLES.index(role)]

    def role(self, identity: str) -> Role:
        """`anyone` where no rule says more."""
        address = identity.lower()
        for pattern in (address, f"*@{address.rpartition('@')[2]}" if "@" in address else "*", "*"):
            if pattern in self._roles:
                return self._roles[pattern]
        return "anyone"


def name_bearer(claims: dict[str, Any], trusts_email: bool) -> str:
    """
    Raises:
        Unauthorized: the token names nobody.
    """
    email, subject = claims.get("email"), claims.get("sub")
    if isinstance(email, str) and email and (trusts_email or claims.get("email_verified") is True):
        return email
    if isinstance(subject, str) and subject:
        return f"sub:{subject}"
    raise Unauthorized("expected an ID token that names its bearer, received one without")


def find_keys_url(issuer: str) -> str:
    """
    Source: https://openid.net/specs/openid-connect-discovery-1_0.html, section 4.

    Raises:
        BackendUnavailable: the issuer does not say where its keys are.
    """
    document, _ = fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != issuer or not isinstance(document.get("jwks_uri"), str):
        raise BackendUnavailable(f"{issuer} does not say where its keys are")
    url: str = document["jwks_uri"]
    return url


def fetch_keys(url: str) -> tuple[dict[str, bytes], float]:
    """
    Public keys as PEM by id, from a JWK set or a map of PEM, and the seconds they may be used.

    Raises:
        BackendUnavailable: there are none to be had.
    """
    document, seconds = fetch(url)
    try:
        if "keys" in document:
            keys = {jwk["kid"]: read_jwk(jwk) for jwk in document["keys"] if jwk.get("kty") in ("RSA", "EC")}
        else:
            keys = {name: pem.encode() for name, pem in document.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackendUnavailable(f"{url}: expected public keys; {error!r}") from error
    return keys, seconds


def fetch(url: str) -> tuple[dict[str, Any], float]:
    """A JSON object, and the seconds that its Cache-Control lets it be kept."""
    from google.auth import exceptions
    from google.auth.transport.requests import Request

    try:
        answer = Request()(url, timeout=FETCH_SECONDS)
        document = json.loads(answer.data)
    except (exceptions.GoogleAuthError, ValueError) as error:
        raise BackendUnavailable(f"{url}: {error}") from error
    if answer.status != 200 or not isinstance(document, dict):
        raise BackendUnavailable(f"{url}: expected a JSON object, received status {answer.status}")
    named = re.search(r"max-age=(\d+)", answer.headers.get("Cache-Control", ""))
    return document, float(named[1]) if named else KEYS_SECONDS


def read_jwk(jwk: dict[str, str]) -> bytes:
    """A public key of RFC 7517, as PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def number(name: str) -> int:
        text = jwk[name]
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    if jwk["kty"] == "RSA":
        key = rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
    else:
        curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[jwk["crv"]]
        key = ec.EllipticCurvePublicNumbers(number("x"), number("y"), curve).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
