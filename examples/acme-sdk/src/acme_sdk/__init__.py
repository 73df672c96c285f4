"""An SDK for the notes of Acme.

    from acme_sdk import Acme
    from httpcore2_core import ConnectionPool

    with ConnectionPool() as http:
        acme = Acme(http, token="secret")
        note = acme.write("buy milk")
        for note in acme.notes():
            print(note.text)

`AsyncAcme` does the same over an `AsyncConnectionPool`.
"""

from ._async import AsyncAcme
from ._sync import Acme
from .calls import AcmeError, Note, NotFound, RateLimited

__all__ = ["Acme", "AcmeError", "AsyncAcme", "NotFound", "Note", "RateLimited"]
