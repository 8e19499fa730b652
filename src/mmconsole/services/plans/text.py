"""A user's plan as text, in the journal of a job and in a plan file: everything that its steps need, and no more."""

from collections.abc import Mapping
from typing import Any

from mmconsole.domain.plans import Kind, UserPlan
from mmconsole.domain.users import UserId


def document_of(plan: UserPlan) -> dict[str, Any]:
    """What is to be done for a user, but not for whom."""
    more = {"links": plan.links, "asks": plan.asks, "asked": plan.asked, "confirmed": plan.confirmed}
    return {"steps": plan.steps, "why": plan.why} | {name: value for name, value in more.items() if value}


def plan_from(document: Mapping[str, Any], *, user_id: UserId, digest: str) -> UserPlan:
    """Raises KeyError, TypeError or ValueError for what `document_of` did not make."""
    return UserPlan(
        user_id,
        digest,
        tuple(map(Kind, document["steps"])),
        why=document["why"],
        links=document.get("links", ""),
        asks=document.get("asks", ""),
        asked=document.get("asked", False),
        confirmed=document.get("confirmed", False),
    )
