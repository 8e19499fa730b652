"""How stored tokens are sealed and opened: the vault, made when first needed."""

import asyncio
from collections.abc import Callable

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.errors import ColumnUnfit, FormUnreadable, OtherForm
from mmconsole.secrets.ciphers import Vault, open_vault
from mmconsole.secrets.forms import WIDTHS, Form, form_of


def _form_name(text: str) -> str:
    return form_of(text) or "unknown"


def _open(settings: Settings, installation_id: str) -> Vault:
    return open_vault(settings, installation_id=installation_id)


class Storage:
    """One vault for the whole process. Seal keys are fetched at the first use, not at the start."""

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

    async def vault(self) -> Vault:
        """The vault, after the column was seen to hold nothing but accepted forms.

        Raises OtherForm, SealKeyMissing, and what the source of the keys can raise.
        """
        async with self._opening:
            if self._vault is None:
                await self._check_forms()
                self._vault = await self._make()
        return self._vault

    async def _check_forms(self) -> None:
        tokens = self._settings.values.tokens
        accepted = {Form(tokens.storage), *map(Form, tokens.accept)}
        found = await self._database.read(lambda db: db.roster.forms(_form_name))
        table = self._settings.users_table
        if count := found.get(Form.LARAVEL):
            raise FormUnreadable(table=table.table, column=table.token, count=count)
        # What has no known form is one user's trouble, who is told; a known one tells of wrong settings.
        for form in {Form.SEALED, Form.PLAIN} & found.keys() - accepted:
            count = found[form]
            raise OtherForm(table=table.table, column=table.token, count=count, found=form, wanted=tokens.storage)
        self._check_width()

    def _check_width(self) -> None:
        """A column that cuts a token off must show before the first one is made."""
        width, table = self._database.layout.token_width, self._settings.users_table
        needed = WIDTHS[Form(self._settings.values.tokens.storage)]
        if width is not None and width < needed:
            found, wanted = f"{width} characters wide", f"{needed} or more (TEXT is best)"
            raise ColumnUnfit(table=table.table, column=table.token, found=found, needed=wanted)

    async def _make(self) -> Vault:
        installation = await self._database.read(lambda db: db.meta.installation_id)
        # The keyring may hang until its deadline; the loop must go on meanwhile.
        return await asyncio.to_thread(self._open, self._settings, installation)
