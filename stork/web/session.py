"""Who a page is shown to: a session begun with a key, or an identity that comes with every request."""

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from stork.access.gate import Caller
from stork.access.keys import Role
from stork.errors import Unauthorized
from stork.store.audit import acting
from stork.web.admission import Admission, limit_headers, read_actor

blueprint = Blueprint("session", __name__)

# What anybody may see: nothing of a model is in it.
PUBLIC = {"static", "health.live", "health.ready", "health.warm_up", "session.sign_in", "session.sign_out"}


def find_admission() -> Admission:
    """The admission of the running application."""
    admission: Admission = current_app.extensions["stork_admission"]
    return admission


def caller() -> Caller | None:
    """Who asks for this page; None: nobody who said so."""
    found: Caller | None = g.get("caller")
    return found


def role_needed() -> Role:
    """What the route asks for: the form predicts, the docs say how; looking is reading, all else a change."""
    if request.endpoint is None or request.endpoint in PUBLIC:
        return "anyone"
    if request.blueprint in ("pages", "docs"):
        return "predict"
    if request.method in ("GET", "HEAD", "OPTIONS") or request.blueprint == "versions":
        return "read"  # the page of versions asks for more itself, beside its buttons
    return "operate"


def enter() -> None:
    """
    Before each page and rare route: find out who asks, let them in, and count what is not merely looked at.

    Raises:
        Unauthorized, Forbidden, QuotaExceeded: they are not let in.
    """
    role, admission = role_needed(), find_admission()
    if role == "anyone":
        return
    if request.path.startswith("/api/"):  # no session: a browser sends that along, whoever makes it ask
        g.caller = admission.admit(request.environ, read_header, role)
        if g.caller is not None:
            g.caller.arrive()
        return
    g.caller = admission.gate.identify(read_header) or admission.gate.recall(session.get("key", ""))
    acting.set(read_actor(request.environ, g.caller, "page"))
    admission.gate.check(g.caller, role)
    if g.caller is not None and request.method == "POST":
        g.caller.arrive()


def tell_limits(response: Response) -> Response:
    """After it: the headers that say what is left of a key's quotas."""
    response.headers.extend(limit_headers(caller()))
    return response


def leave(error: BaseException | None) -> None:
    """After it: what this thread does next is not theirs."""
    acting.set(None)


def read_header(name: str) -> str:
    return request.headers.get(name, "")


def require(role: Role) -> None:
    """
    Ask more of who sees a page than seeing it took.

    Raises:
        Unauthorized, Forbidden: it is audited.
    """
    find_admission().require(role, caller(), request.environ, "page")


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Begin a session with a key, and go on to the page that asked for it; or the same form, and what was wrong."""
    acting.set(read_actor(request.environ, None, "page"))
    onward = local_path(request.form.get("next", ""))
    try:
        found = find_admission().gate.sign_in(request.form.get("key", ""))
    except Unauthorized as error:
        find_admission().note_refusal("sign-in", error, request.environ)
        return show_sign_in("This key is not known here, or has expired.", onward), error.status
    session.clear()
    session["key"] = found.identity
    session.permanent = True
    return redirect(onward, 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session."""
    session.clear()
    return redirect(local_path(request.form.get("next", "")), 303)


def show_sign_in(message: str, onward: str) -> str:
    """The page that asks for a key."""
    return render_template("sign_in.html", message=message, onward=onward)


def local_path(path: str) -> str:
    """A path of this site to go on to, the first page if it is none: no link of ours leads elsewhere."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else url_for("pages.home")
