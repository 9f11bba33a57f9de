"""Refuses what pages of other sites send to the app.

A browser sends a form of any page to any address, this machine's too. It hides the
answer from the page, but an upload would be kept all the same.
"""

import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
# A tunnel to this machine has another port, and one of these names all the same.
_LOCAL = frozenset(("127.0.0.1", "localhost", "::1"))


class OwnPageOnly:
    """ASGI middleware: a request of another site, or for another name, gets 403.

    Args:
      app: what answers the others.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not is_own(Headers(scope=scope)):
            refusal = PlainTextResponse("expected a request of the app's own page", 403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_own(headers: Headers) -> bool:
    """Says whether a request names this machine, and comes from a page of it.

    A browser gives the page in `origin`, but where it only reads or follows a link.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        if urllib.parse.urlsplit(f"//{host}").hostname not in _LOCAL:
            return False
        return origin is None or urllib.parse.urlsplit(origin).netloc == host
    except ValueError:  # Neither is an address.
        return False
