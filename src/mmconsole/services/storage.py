"""How stored tokens are sealed and opened: the vault, made when first needed."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, Snapshot, Stored
from mmconsole.errors import CannotOpen, ColumnNarrow, LaravelKeyWrong, OnlyAView, OtherCipher, OtherForm
from mmconsole.secrets import laravel_keys
from mmconsole.secrets.ciphers import Vault, open_vault
from mmconsole.secrets.forms import WIDTHS, Form, form_of
from mmconsole.services.leases import Lease

TRIED: Final = 20
"""Values that are opened to see whether the application's keys are the right ones: one of them may be damaged."""
_ROTATIONS: Final = "seal.rotations"


def _form_name(text: str) -> str:
    return form_of(text) or "unknown"


def _open(settings: Settings, installation_id: str) -> Vault:
    return open_vault(settings, installation_id=installation_id)


class Storage:
    """One vault for the whole process. Keys are fetched at the first use, not at the start."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        open_with: Callable[[Settings, str], Vault] = _open,
    ) -> None:
        self._settings = settings
        self._database = database
        self._open = open_with
        self._opening = asyncio.Lock()
        self._vault: Vault | None = None
        self._rotations = ""

    async def vault(self) -> Vault:
        """The vault, after the column was seen to hold nothing but accepted forms, and the keys to be the right ones.

        Raises OtherForm, ColumnNarrow, SealKeyMissing, LaravelKeyMissing, LaravelKeyWrong, OtherCipher, and what the
        source of the keys can raise.
        """
        # Every link asks for it: a lock that nobody needs would cost as much as opening the token.
        if self._vault is not None:
            return self._vault
        async with self._opening:
            if self._vault is None:
                self._vault = await self._checked()
        return self._vault

    async def refresh(self) -> None:
        """Look whether the keys were rotated since the vault was made. Called when a run begins.

        A process that sealed with a retired key would write what nobody can open.
        """
        await self.heed(await self._database.read(rotations))

    async def heed(self, found: str) -> None:
        """The same, for who has read `rotations` beside something else."""
        if found == self._rotations:
            return
        async with self._opening:
            if found != self._rotations:
                self._vault, self._rotations = None, found

    async def note_change(self, lease: Lease, at: datetime) -> None:
        """Tell other processes, and this one, that the keys or the form of what is stored are others now."""
        moment = at.isoformat()
        await lease.write(lambda tx: tx.meta.set(_ROTATIONS, moment))
        await self.refresh()

    async def vault_for(self, storage: Form, *, accept: Collection[Form]) -> Vault:
        """A vault that writes and reads other forms than the settings say. Raises what `vault` raises."""
        self.check_width(storage)
        tokens = self._settings.values.tokens.model_copy(
            update={"storage": storage.value, "accept": tuple(form.value for form in accept)}
        )
        settings = replace(self._settings, values=self._settings.values.model_copy(update={"tokens": tokens}))
        return await self._make(settings)

    def check_width(self, form: Form) -> None:
        """A column that cuts a token off must show before the first one is written. Raises ColumnNarrow, OnlyAView."""
        width, table = self._database.layout.token_width, self._settings.users_table
        if not self._database.layout.writable:
            raise OnlyAView(table=table.table)
        needed = WIDTHS[form]
        if width is not None and width < needed:
            raise ColumnNarrow(table=table.table, column=table.token, found=width, needed=needed, form=form)

    async def _checked(self) -> Vault:
        await self._check_forms()
        self.check_width(Form(self._settings.values.tokens.storage))
        self._rotations = await self._database.read(rotations)
        return await self._make(self._settings)

    async def _check_forms(self) -> None:
        tokens, table = self._settings.values.tokens, self._settings.users_table
        found = await self._database.read(lambda db: db.roster.forms(_form_name))
        # What has no known form is one user's trouble, who is told; a known one tells of wrong settings.
        for form in set(Form) & found.keys() - {tokens.storage, *tokens.accept}:
            count = found[form]
            raise OtherForm(table=table.table, column=table.token, count=count, found=form, wanted=tokens.storage)

    async def _make(self, settings: Settings) -> Vault:
        installation = await self._database.read(lambda db: db.meta.installation_id)
        # The keyring may hang until its deadline; the loop must go on meanwhile.
        vault = await asyncio.to_thread(self._open, settings, installation)
        if Form.LARAVEL in vault.accepted:
            self._try(vault, await self._database.read(_laravel_values))
        return vault

    def _try(self, vault: Vault, values: list[Stored]) -> None:
        """Keys that open nothing are not the application's, and it could not read what they would write."""
        faults = [fault for stored in values if (fault := _fault(vault, stored)) is not None]
        if not values or len(faults) < len(values):
            return
        if isinstance(faults[0], OtherCipher):
            raise faults[0]
        table, source = self._settings.users_table, laravel_keys.place(self._settings).description
        raise LaravelKeyWrong(count=len(values), table=table.table, column=table.token, source=source)


def rotations(db: Snapshot) -> str:
    """What changes when the keys, or the form of what is stored, do."""
    return db.meta.get(_ROTATIONS) or ""


def _laravel_values(db: Snapshot) -> list[Stored]:
    found: list[Stored] = []
    page = db.envelopes.page(None)
    while page and len(found) < TRIED:
        found += [stored for stored in page if form_of(stored.text) is Form.LARAVEL]
        page = db.envelopes.page(page[-1])
    return found[:TRIED]


def _fault(vault: Vault, stored: Stored) -> CannotOpen | None:
    try:
        vault.open(stored.text, stored.user_id)
    except CannotOpen as fault:
        return fault
    return None
