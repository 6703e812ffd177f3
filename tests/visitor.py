"""A browser without a window, for pages with forms."""

import http.cookies
import re
from urllib.parse import urlencode

from server import Response, Server


class Visitor:
    """Keeps its cookie, and sends the token of the page it saw last."""

    def __init__(self, server: Server, path: str) -> None:
        self.server = server
        self.path = path
        self.cookie = ""
        self.page = ""

    def look(self) -> str:
        """The page, as it is now."""
        self.remember(self.server.request("GET", self.path, Cookie=self.cookie))
        return self.page

    def send(self, path: str = "", **fields: str) -> Response:
        """A form of the page, to the page or to another path."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.page)
        body = urlencode(fields | ({"csrf_token": token[1]} if token else {})).encode()
        kind = "application/x-www-form-urlencoded"
        answer = self.server.request("POST", path or self.path, body, Cookie=self.cookie, Content_Type=kind)
        self.remember(answer)
        return answer

    def sign_in(self, key: str) -> Response:
        """The sign-in form, wherever it stands."""
        return self.send("/sign-in", key=key, next=self.path)

    def remember(self, answer: Response) -> None:
        cookie = http.cookies.SimpleCookie(answer.headers.get("set-cookie", ""))
        if cookie:
            self.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in cookie.items())
        self.page = answer.body.decode()
