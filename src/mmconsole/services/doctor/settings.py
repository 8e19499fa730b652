"""The doctor's look at the settings: what can be told without asking anybody."""

from typing import Final

from mmconsole.domain.findings import Sheet
from mmconsole.errors import MmconsoleError
from mmconsole.secrets import check_transport
from mmconsole.services.doctor.examination import Examination

NAMES: Final = ("settings", "server's address", "service's address")


async def look(examination: Examination, sheet: Sheet) -> None:
    settings = examination.settings
    where = str(settings.file) if settings.file else "no file, only defaults and the environment"
    sheet.yes("settings", f"The profile {settings.profile} can be read ({where}).")
    try:
        check_transport(settings.server, allow_http=settings.values.mattermost.allow_http)
    except MmconsoleError as fault:
        sheet.fault("server's address", fault)
        return
    sheet.yes("server's address", f"{settings.server} is safe to send a token to.")
    try:
        settings.check_web()
    except MmconsoleError as fault:
        sheet.fault("service's address", fault)
    else:
        sheet.yes("service's address", f"{settings.public_url} has Mattermost's own host name, as cookies need it.")
