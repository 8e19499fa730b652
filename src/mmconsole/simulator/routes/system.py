"""The server about itself: ping, configuration, licence, limits, audits."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from mmconsole.simulator import permissions, views
from mmconsole.simulator.errors import AppError, bad_body, forbidden
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmconsole.simulator.entities import Audit


def ping(call: Call) -> Reply:
    """Says nothing of the version."""
    del call
    apps = dict.fromkeys(("AndroidLatestVersion", "AndroidMinVersion", "IosLatestVersion", "IosMinVersion"), "")
    return answer({"ActiveSearchBackend": "database", **apps, "status": "OK"})


def client_config(call: Call) -> Reply:
    """A few settings for everybody, many for whoever has a session. `format` had to be said until 11.0 (5)."""
    if call.state.options.release < (11, 0):
        _check_format(call, AppError("api.config.client.old_format.app_error", 501))
    config = call.state.config
    return Reply(config.signed_in if call.asker else config.anonymous)


def client_license(call: Call) -> Reply:
    _check_format(call, AppError("api.license.client.old_format.app_error", 400))
    return answer({"IsLicensed": str(call.state.licensed).lower()})


def _check_format(call: Call, missing: AppError) -> None:
    wanted = call.query("format")
    if not wanted:
        raise missing
    if wanted != "old":
        raise bad_body("format")


def config(call: Call) -> Reply:
    if not permissions.may(call.user, "sysconsole_read_any"):
        raise forbidden()
    return answer(call.state.config.for_admins())


def patch_config(call: Call) -> Reply:
    changes = call.decode(dict[str, Any], "config")
    if not permissions.may(call.user, "sysconsole_write_any"):
        raise forbidden()
    call.state.config.patch(changes)
    call.audit("patchConfig")
    return answer(call.state.config.for_admins())


def limits(call: Call) -> Reply:
    """How many users there may be. Who is no administrator is told nothing."""
    soft, hard = call.state.user_limits()
    is_admin = call.user.is_admin
    fields = {
        "activeUserCount": call.state.active_people if is_admin else 0,
        "maxUsersLimit": soft if is_admin else 0,
        "maxUsersHardLimit": hard if is_admin else 0,
    }
    if call.state.options.release >= (11, 0):
        fields |= {"lastAccessiblePostTime": 0, "postHistoryLimit": 0}
        fields |= {"singleChannelGuestCount": 0, "singleChannelGuestLimit": 0}
    return answer(fields)


def audits(call: Call) -> Reply:
    if not permissions.may(call.user, "read_audits"):
        raise forbidden()
    return _audit_page(call, reversed(call.state.audits))


def audits_of_user(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    return _audit_page(call, (audit for audit in reversed(call.state.audits) if audit.user_id == user_id))


def _audit_page(call: Call, newest_first: Iterable[Audit]) -> Reply:
    start, end = call.page()
    return answer([views.audit_fields(audit) for audit in islice(newest_first, start, end)])


ROUTES = (
    Route("GET", "/system/ping", ping, session=False),
    Route("GET", "/config/client", client_config, session=False),
    Route("GET", "/license/client", client_license, session=False),
    Route("GET", "/config", config),
    Route("PUT", "/config/patch", patch_config),
    Route("GET", "/limits/server", limits),
    Route("GET", "/audits", audits),
    Route("GET", "/users/{id}/audits", audits_of_user),
)
