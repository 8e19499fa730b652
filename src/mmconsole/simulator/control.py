"""The hidden door for tests that run against the simulator from another process: `/_simulator/…`.

`POST faults` takes faults of every kind of `faults.py`; `DELETE faults` ends them, and lets go of what they hold.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mmconsole.simulator.faults import Fault

if TYPE_CHECKING:
    from mmconsole.simulator.app import Simulator


DOOR: Final = "/_simulator/"


def handle(simulator: Simulator, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Answer a call of the hidden door with a status and JSON."""
    match method, path.removeprefix(DOOR):
        case "POST", "faults":
            return _add_faults(simulator, body)
        case "DELETE", "faults":
            simulator.faults.clear()
            return 200, b'{"waiting":0}'
        case "GET", "faults":
            faults = simulator.faults
            return 200, msgspec.json.encode({"waiting": len(faults), "holding": faults.holding})
        case "GET", "calls":
            recent = [call._asdict() for call in simulator.calls.recent]
            return 200, msgspec.json.encode({"counts": dict(simulator.calls), "recent": recent})
        case "GET", "tokens":
            return 200, msgspec.json.encode(_tokens(simulator))
        case "GET", "mails":
            return 200, msgspec.json.encode(dict(simulator.state.mails))
        case _:
            return 404, b'{"error":"no such page"}'


def _add_faults(simulator: Simulator, body: bytes) -> tuple[int, bytes]:
    """One fault or a list of them."""
    try:
        faults = msgspec.json.decode(body, type=list[Fault] | Fault)
    except (msgspec.MsgspecError, ValueError) as fault:
        return 400, msgspec.json.encode({"error": str(fault)})
    for wanted in faults if isinstance(faults, list) else [faults]:
        simulator.faults.add(wanted)
    return 201, msgspec.json.encode({"waiting": len(simulator.faults)})


def _tokens(simulator: Simulator) -> list[dict[str, Any]]:
    """All tokens. Their secrets only as a digest, by which a test recognises one it knows."""
    return [
        {
            "id": token.id,
            "user_id": token.user_id,
            "description": token.description,
            "is_active": token.is_active,
            "expires_at": token.expires_at,
            "sha256": hashlib.sha256(token.secret.encode()).hexdigest(),
        }
        for token in simulator.state.token_rows
    ]
