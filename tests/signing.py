"""A certificate, a service account and ID tokens of nobody, for a loopback server that speaks as Google's do."""

import base64
import datetime
import ipaddress
import json
import ssl
import time
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1, and the file of its certificate for those who are to trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, folder / "key.pem")
    return context, path


def make_service_account(folder: Path, token_uri: str) -> Path:
    """A key file as `GOOGLE_APPLICATION_CREDENTIALS` names one; its tokens come from `token_uri`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "stork@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    path = folder / "account.json"
    path.write_text(json.dumps(account))
    return path


class TokenSigner:
    """Somebody who signs ID tokens, with ES256 as Identity-Aware Proxy does or RS256 as most others do."""

    def __init__(self, algorithm: str, key_id: str = "key-1") -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        self._key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        """A token of these claims, valid for five minutes unless they say otherwise."""
        now = int(time.time())
        head = {"alg": self.algorithm, "typ": "JWT", "kid": self.key_id, **header}
        signed = f"{encode_part(head)}.{encode_part({'iat': now, 'exp': now + 300, **claims})}"
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32) + s.to_bytes(32)
        return f"{signed}.{base64url(signature)}"

    def pem(self) -> str:
        """The public key, as Identity-Aware Proxy publishes its own."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def jwk(self) -> dict[str, str]:
        """The public key, as RFC 7517 has it."""
        numbers = self._key.public_key().public_numbers()
        if isinstance(numbers, rsa.RSAPublicNumbers):
            return {
                "kty": "RSA",
                "kid": self.key_id,
                "n": base64url_number(numbers.n),
                "e": base64url_number(numbers.e),
            }
        x, y = base64url(numbers.x.to_bytes(32)), base64url(numbers.y.to_bytes(32))
        return {"kty": "EC", "crv": "P-256", "kid": self.key_id, "x": x, "y": y}


def encode_part(document: dict[str, Any]) -> str:
    """One part of a token."""
    return base64url(json.dumps(document).encode())


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def base64url_number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))
