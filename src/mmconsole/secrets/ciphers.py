"""The vault: users' secrets in and out of the form they are stored in."""

import os
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import CannotOpen, Damaged, LaravelKeyMissing, SealKeyMissing, SecretError
from mmconsole.secrets import laravel_keys, seal_keys
from mmconsole.secrets.forms import Form, begins_like_laravel, form_of
from mmconsole.secrets.laravel_keys import LaravelKeys
from mmconsole.secrets.seal_keys import SealKeys
from mmconsole.secrets.signing import Signing

if TYPE_CHECKING:
    from mmconsole.secrets.envelopes import Sealer

T = TypeVar("T")


class Codec(Protocol):
    """One form: a secret into the text of a place and back."""

    current: str
    """The id of the key that writes; empty where there is none."""

    def seal(self, secret: Secret, bound_to: bytes) -> str:
        """Raises SecretError for what this form cannot hold."""

    def open(self, text: str, bound_to: bytes) -> Secret:
        """Raises CannotOpen."""

    def key_of(self, text: str) -> str:
        """The id of the key it was written with; empty where there is none or it is not here."""


class Plain:
    """The secret as it is."""

    current = ""

    def seal(self, secret: Secret, bound_to: bytes) -> str:  # noqa: ARG002 - the protocol's
        if form_of(secret.reveal()) is not Form.PLAIN:
            raise SecretError(why="it is not one that can be stored as `plain`")
        return secret.reveal()

    def open(self, text: str, bound_to: bytes) -> Secret:  # noqa: ARG002 - the protocol's
        return Secret(text)

    def key_of(self, text: str) -> str:  # noqa: ARG002 - the protocol's
        return ""


class Vault:
    """Turns secrets into the text of one column of one installation, and back.

    A sealed text is bound to installation, table, column and row: copied elsewhere it does not open.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the place that a text is bound to, or a kind of keys
        self,
        *,
        storage: Form,
        accept: Collection[Form] = (),
        keys: SealKeys | None,
        laravel: LaravelKeys | None = None,
        installation_id: str,
        table: str,
        column: str,
    ) -> None:
        """Raises SealKeyMissing or LaravelKeyMissing when a form is named whose keys are not."""
        self.storage = storage
        self.accepted = frozenset({storage, *accept})
        self._keys = keys
        self._laravel = laravel
        self._installation_id = installation_id
        self._place = f"mmconsole|v1|{installation_id}|{table}|{column}|"
        self._codecs: dict[Form, Codec] = {}
        if Form.SEALED in self.accepted and keys is None:
            raise SealKeyMissing(which="", source="place that `seal.source` names")
        if Form.LARAVEL in self.accepted and laravel is None:
            raise LaravelKeyMissing(source="place that `laravel.source` names")
        if "|" in installation_id + table + column:
            # It parts the names that a text is bound to, which would no longer be told apart.
            raise SecretError(why=f"`{table}.{column}` has a | in its name")

    def seal(self, secret: Secret, user_id: UserId) -> str:
        """The text to store for this user."""
        return self._codec(self.storage).seal(secret, self._bound_to(user_id))

    def open(self, text: str, user_id: UserId) -> Secret:
        """The secret of a stored text. Raises CannotOpen, which says why and never shows it."""
        form = form_of(text)
        if form is None and begins_like_laravel(text):
            raise Damaged(why="it begins as Laravel writes")
        if form is None:
            raise CannotOpen(why="it has no form that mmconsole knows")
        if form not in self.accepted:
            raise CannotOpen(why=f"it is stored as `{form}`, which `tokens.storage` and `tokens.accept` do not name")
        return self._codec(form).open(text, self._bound_to(user_id))

    def is_current(self, text: str) -> bool:
        """Whether it stands there as it would be written now: in this form, under the current key."""
        return form_of(text) is self.storage and self.key_of(text) == self._codec(self.storage).current

    def key_of(self, text: str) -> str:
        """The id of the key that a text was written with; empty when it needs none or its key is not here."""
        form = form_of(text)
        return self._codec(form).key_of(text) if form in self.accepted else ""

    def fingerprint(self, secret: Secret) -> str:
        """Under the current seal key, in hex. Empty unless the storage is sealed.

        Whoever can read a column of another form finds a secret by comparing, and needs no fingerprint.
        """
        return next(iter(self.fingerprints(secret)), "")

    def fingerprints(self, secret: Secret) -> list[str]:
        """Those that may be stored for it: under every seal key, since a rotation may be under way."""
        return self._sealer.fingerprints(secret) if self.storage is Form.SEALED else []

    def signing(self) -> Signing | None:
        """Subkeys of the seal keys that sign plan files; None where nothing is sealed."""
        if self._keys is None:
            return None
        from mmconsole.secrets.envelopes import subkey  # noqa: PLC0415 - as below

        return Signing({key.id: subkey(key, self._installation_id, "plan") for key in self._keys.keys})

    @cached_property
    def _sealer(self) -> "Sealer":
        # cryptography costs start-up time, and a command that seals nothing does not pay it.
        from mmconsole.secrets.envelopes import Sealer  # noqa: PLC0415

        assert self._keys is not None  # noqa: S101 - the constructor refuses sealed storage without keys
        return Sealer(self._keys, installation_id=self._installation_id)

    def _codec(self, form: Form) -> Codec:
        if form not in self._codecs:
            self._codecs[form] = self._make_codec(form)
        return self._codecs[form]

    def _make_codec(self, form: Form) -> Codec:
        if form is Form.SEALED:
            return self._sealer
        if form is Form.LARAVEL:
            from mmconsole.secrets.laravel import Crypt  # noqa: PLC0415

            assert self._laravel is not None  # noqa: S101 - as above
            return Crypt(self._laravel)
        return Plain()

    def _bound_to(self, user_id: UserId) -> bytes:
        return (self._place + user_id).encode("utf-8", "surrogatepass")


def open_vault(
    settings: Settings,
    *,
    installation_id: str,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Vault:
    """The vault of a profile. Reads the keys of those forms that `tokens.storage` and `tokens.accept` name."""
    tokens = settings.values.tokens
    storage, accept = Form(tokens.storage), frozenset(map(Form, tokens.accept))
    named = {storage, *accept}

    def keys_of(form: Form, load: Callable[..., T]) -> T | None:
        return load(settings, interactive=interactive, environment=environment) if form in named else None

    return Vault(
        storage=storage,
        accept=accept,
        keys=keys_of(Form.SEALED, seal_keys.load),
        laravel=keys_of(Form.LARAVEL, laravel_keys.load),
        installation_id=installation_id,
        table=settings.users_table.table,
        column=settings.users_table.token,
    )
