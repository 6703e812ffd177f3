"""A loopback server that publishes keys as an OpenID Connect issuer and as Identity-Aware Proxy do."""

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loopback import serving
from signing import TokenSigner


class IssuerServer:
    """Its address is the issuer's name. `asked` notes every path; `down` makes it answer 503."""

    def __init__(self, signers: list[TokenSigner]) -> None:
        self.signers = signers
        self.asked: list[str] = []
        self.down = False
        self.max_age = 3600
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
        if path == "/jwks":
            return {"keys": [signer.jwk() for signer in self.signers]}
        return {signer.key_id: signer.pem() for signer in self.signers}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                body = json.dumps(issuer.answer(self.path)).encode()
                self.send_response(503 if issuer.down else 200)
                self.send_header("Cache-Control", f"public, max-age={issuer.max_age}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    @contextlib.contextmanager
    def running(self) -> Iterator["IssuerServer"]:
        with serving(self._server):
            yield self
