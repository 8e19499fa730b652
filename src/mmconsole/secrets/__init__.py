"""The only door to keyring and cryptography: where secrets live, and how they are sealed.

Importing it loads neither; each is loaded by the call that needs it.
"""

from mmconsole.secrets import admin_token, seal_keys
from mmconsole.secrets.admin_token import check_transport
from mmconsole.secrets.ciphers import Vault, open_vault
from mmconsole.secrets.forms import Form, form_of
from mmconsole.secrets.passwords import random_password
from mmconsole.secrets.places import Place
from mmconsole.secrets.seal_keys import SealKey, SealKeys, SealStatus

__all__ = [
    "Form",
    "Place",
    "SealKey",
    "SealKeys",
    "SealStatus",
    "Vault",
    "admin_token",
    "check_transport",
    "form_of",
    "open_vault",
    "random_password",
    "seal_keys",
]
