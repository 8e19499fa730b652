"""The doctor's look at the places where secrets live. None of them is ever shown."""

import asyncio
from typing import Final

from mmconsole.domain.findings import Sheet
from mmconsole.errors import AdminTokenMissing, KeyringSlow, KeyringUnavailable, KeyringUnsafe, MmconsoleError
from mmconsole.secrets import Form, admin_token, laravel_keys, seal_keys
from mmconsole.secrets.places import Place
from mmconsole.services.doctor.examination import Examination

NAMES: Final = ("keyring", "admin token", "its place", "keys of stored tokens")
_KEYRING: Final = (KeyringSlow, KeyringUnavailable, KeyringUnsafe)


async def look(examination: Examination, sheet: Sheet) -> None:
    await _look_at_token(examination, sheet)
    await _look_at_keys(examination, sheet)


async def _look_at_token(examination: Examination, sheet: Sheet) -> None:
    settings = examination.settings
    place = admin_token.place(settings)
    if settings.values.admin_token.source != "keyring":
        sheet.skip("keyring")
    try:
        await examination.token()
    except _KEYRING as fault:
        sheet.fault("keyring", fault)
        for name in ("admin token", "its place"):
            sheet.unknown(name, "The keyring does not tell.")
        return
    except AdminTokenMissing as fault:
        _say_keyring_answers(examination, sheet)
        sheet.fault("admin token", fault)
    except MmconsoleError as fault:
        sheet.fault("admin token", fault)
    else:
        _say_keyring_answers(examination, sheet)
        sheet.yes("admin token", f"There is one in the {place.description}.")
    _judge_place(place, sheet)


def _say_keyring_answers(examination: Examination, sheet: Sheet) -> None:
    if examination.settings.values.admin_token.source == "keyring":
        sheet.yes("keyring", "The keyring of this session answers.")


def _judge_place(place: Place, sheet: Sheet) -> None:
    if place.warning:
        sheet.no("its place", place.warning, "Choose another `admin_token.source`.", advice=True)
    else:
        sheet.yes("its place", f"Nothing speaks against the {place.description}.")


async def _look_at_keys(examination: Examination, sheet: Sheet) -> None:
    settings = examination.settings
    forms = {Form(settings.values.tokens.storage), *map(Form, settings.values.tokens.accept)}
    try:
        if Form.SEALED in forms:
            status = await asyncio.to_thread(seal_keys.load, settings, interactive=False)
            sheet.yes("keys of stored tokens", f"The current one is {status.current.id}.")
        if Form.LARAVEL in forms:
            keys = await asyncio.to_thread(laravel_keys.load, settings, interactive=False)
            sheet.yes("keys of stored tokens", f"The application's are in the {keys.source}.")
    except MmconsoleError as fault:
        sheet.fault("keys of stored tokens", fault)
    if forms == {Form.PLAIN}:
        sheet.skip("keys of stored tokens")
