"""The table of a run that another process serves (`netwright serve`), by JSON lines over TCP.

Every request has a number and is sent until it is answered; the server does it once. A worker that had a row before the
server was restarted is given that row again by `claim`. Rows are fenced: what a late worker says of a row that another
one has by now changes nothing.
"""

from __future__ import annotations

from typing import Any

TOKEN = "NETWRIGHT_TOKEN"  # variable of the environment


class RemoteStore:
    """A store like any other, safe for many threads; `refs.load("store", refs.parse(store.address))` opens it anew.

    Args:
        at: "tcp://HOST:PORT"; "": as `token_file` says, which is a run's `served.json` then.
        token_file: File with the token, or a run's `served.json`, which is read again at every new connection, so that
            a controller that was started again elsewhere is found; "": the token is in the variable NETWRIGHT_TOKEN.
        patience: Seconds for which a server that does not answer is waited for, before StoreError is raised.

    Raises:
        StoreError: There is no server, no token, the wrong one, or another run than before.
    """

    def __init__(self, at: str = "", token_file: str = "", patience: float = 60.0) -> None:
        self.address = ""

    def call(self, method: str, *values: Any) -> Any:
        """What the server answers to one of its further `methods`, with values of JSON."""


plugin = RemoteStore
