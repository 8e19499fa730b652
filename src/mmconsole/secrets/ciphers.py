"""The vault: users' secrets in and out of the form they are stored in."""

import os
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import CannotOpen, SealKeyMissing, SecretError
from mmconsole.secrets import seal_keys
from mmconsole.secrets.forms import Form, form_of
from mmconsole.secrets.seal_keys import SealKeys

if TYPE_CHECKING:
    from mmconsole.secrets.envelopes import Sealer


class Vault:
    """Turns secrets into the text of one column of one installation, and back.

    A sealed text is bound to installation, table, column and row: copied elsewhere it does not open.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the place that a text is bound to
        self,
        *,
        storage: Form,
        accept: Collection[Form] = (),
        keys: SealKeys | None,
        installation_id: str,
        table: str,
        column: str,
    ) -> None:
        """Raises SealKeyMissing when `sealed` is among the forms and there are no keys."""
        self.storage = storage
        self.accepted = frozenset({storage, *accept})
        self._keys = keys
        self._installation_id = installation_id
        self._place = f"mmconsole|v1|{installation_id}|{table}|{column}|"
        if Form.SEALED in self.accepted and keys is None:
            raise SealKeyMissing(which="", source="place that `seal.source` names")
        if "|" in installation_id + table + column:
            # It parts the names that a text is bound to, which would no longer be told apart.
            raise SecretError(why=f"`{table}.{column}` has a | in its name")

    def seal(self, secret: Secret, user_id: UserId) -> str:
        """The text to store for this user."""
        if self.storage is Form.SEALED:
            return self._sealer.seal(secret, self._bound_to(user_id))
        if self.storage is Form.PLAIN and form_of(secret.reveal()) is Form.PLAIN:
            return secret.reveal()
        raise SecretError(why=f"it is not one that can be stored as `{self.storage}`")

    def open(self, text: str, user_id: UserId) -> Secret:
        """The secret of a stored text. Raises CannotOpen, which says why and never shows it."""
        form = form_of(text)
        if form is None:
            raise CannotOpen(why="it has no form that mmconsole knows")
        if form not in self.accepted:
            raise CannotOpen(why=f"it is stored as `{form}`, which `tokens.storage` and `tokens.accept` do not name")
        if form is Form.SEALED:
            return self._sealer.open(text, self._bound_to(user_id))
        if form is Form.PLAIN:
            return Secret(text)
        raise CannotOpen(why=f"this version does not read `{form}`")

    def fingerprint(self, secret: Secret) -> str:
        """Under the current seal key, in hex; empty when there are no keys (plain storage)."""
        return "" if self._keys is None else self._sealer.fingerprint(secret)

    @cached_property
    def _sealer(self) -> "Sealer":
        # cryptography costs start-up time, and a command that seals nothing does not pay it.
        from mmconsole.secrets.envelopes import Sealer  # noqa: PLC0415

        assert self._keys is not None  # noqa: S101 - the constructor refuses sealed storage without keys
        return Sealer(self._keys, installation_id=self._installation_id)

    def _bound_to(self, user_id: UserId) -> bytes:
        return (self._place + user_id).encode("utf-8", "surrogatepass")


def open_vault(
    settings: Settings,
    *,
    installation_id: str,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Vault:
    """The vault of a profile. Reads the seal keys if `tokens.storage` or `tokens.accept` calls for them."""
    tokens = settings.values.tokens
    storage, accept = Form(tokens.storage), frozenset(map(Form, tokens.accept))
    wants_keys = Form.SEALED in {storage, *accept}
    return Vault(
        storage=storage,
        accept=accept,
        keys=seal_keys.load(settings, interactive=interactive, environment=environment) if wants_keys else None,
        installation_id=installation_id,
        table=settings.users_table.table,
        column=settings.users_table.token,
    )
