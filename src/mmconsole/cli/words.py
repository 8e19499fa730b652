"""How a token's health is called and drawn."""

from typing import Final

from mmconsole.domain.tokens import Health

STATUSES: Final = {
    Health.OK: "+ ok",
    Health.EXPIRING: "~ expiring",
    Health.OVERDUE: "~ overdue",
    Health.MISSING: "- missing",
    Health.REVOKED: "x revoked",
    Health.EXPIRED: "x expired",
    Health.DISABLED: "x disabled",
    Health.WITHHELD: "x withheld",
    Health.INACTIVE: "! inactive",
    Health.DENIED: "! denied",
    Health.NO_ACCOUNT: "! no account",
    Health.CONFLICT: "! conflict",
    Health.UNKNOWN: "? unknown",
    Health.WORKING: "* working",
}
"""A glyph for those who see no colours, and a word for those who hear."""
