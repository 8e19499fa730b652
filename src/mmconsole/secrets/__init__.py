"""The only door to keyring and cryptography: where secrets live, and how they are sealed.

Importing it loads neither; each is loaded by the call that needs it.
"""

from mmconsole.secrets import admin_token, laravel_keys, seal_keys
from mmconsole.secrets.admin_token import check_transport
from mmconsole.secrets.ciphers import Vault, open_vault
from mmconsole.secrets.files import new_draft, open_private
from mmconsole.secrets.forms import Form, form_of
from mmconsole.secrets.laravel_keys import LaravelKey, LaravelKeys
from mmconsole.secrets.passwords import random_password
from mmconsole.secrets.places import Place
from mmconsole.secrets.seal_keys import SealKey, SealKeys, SealStatus
from mmconsole.secrets.signing import Signing, new_installation_key

__all__ = [
    "Form",
    "LaravelKey",
    "LaravelKeys",
    "Place",
    "SealKey",
    "SealKeys",
    "SealStatus",
    "Signing",
    "Vault",
    "admin_token",
    "check_transport",
    "form_of",
    "laravel_keys",
    "new_draft",
    "new_installation_key",
    "open_private",
    "open_vault",
    "random_password",
    "seal_keys",
]
