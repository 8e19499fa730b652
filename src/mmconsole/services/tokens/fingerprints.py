"""Whose a secret is that was found where it should not be."""

import asyncio
from collections.abc import Sequence

from mmconsole.database import Database, Snapshot, Stored
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import CannotOpen
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import Form, form_of
from mmconsole.services.storage import Storage


class Fingerprints:
    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    async def owners(self, secret: Secret) -> list[UserId]:
        """The users whose stored secret it is: one, or none; several where a row was copied.

        No server is asked. Sealed secrets are known by their fingerprints; those of other forms have none, and are
        opened and compared one after the other. Raises SecretError when the keys cannot be had.
        """
        vault = await self._storage.vault()
        known = vault.fingerprints(secret)
        found = await self._database.read(
            lambda db: [one.user_id for text in known for one in db.tokens.by_fingerprint(text)]
        )
        return found or await self._compared(vault, secret)

    async def _compared(self, vault: Vault, secret: Secret) -> list[UserId]:
        ids: list[UserId] = []
        page = await self._page(None)
        while page:
            ids += await asyncio.to_thread(_holders, vault, page, secret)
            page = await self._page(page[-1])
        return ids

    async def _page(self, after: Stored | None) -> list[Stored]:
        def read(db: Snapshot) -> list[Stored]:
            return db.envelopes.page(after)

        return await self._database.read(read)


def _holders(vault: Vault, page: Sequence[Stored], secret: Secret) -> list[UserId]:
    return [one.user_id for one in page if _opens_to(vault, one, secret)]


def _opens_to(vault: Vault, stored: Stored, secret: Secret) -> bool:
    if form_of(stored.text) is Form.SEALED:
        return False
    try:
        return vault.open(stored.text, stored.user_id) == secret
    except CannotOpen:
        return False
