"""What `tokens recover` found and did, for people and as JSON."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

from mmconsole.cli import output
from mmconsole.cli.summary import recovered_lines
from mmconsole.cli.under_way import asked
from mmconsole.core import Core
from mmconsole.domain.tokens import Token
from mmconsole.services.recovery import Recovered
from mmconsole.services.tokens.unstored import Swept

_SHOWN = 20
"""Tokens that people are shown; --json has all."""


async def recover(core: Core) -> tuple[Recovered, list[Token]]:
    """Clear up, and look what is left that is none of this installation's any more."""
    return await core.sync.recover(), await core.unstored_tokens.find()


async def sweep(core: Core, *, allow_removals: int | None, wait: bool, yes: bool) -> Swept:
    async def confirm(found: Sequence[Token]) -> bool:
        # Without a terminal the guard decides.
        if yes or not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
            return True
        for line in _lines(found):
            output.note(line)
        return await asked(f"Revoke {output.amount(len(found), 'token')} for good? [y/N] ")

    return await core.unstored_tokens.revoke(confirm=confirm, allow_removals=allow_removals, wait=wait)


def show_recovered(recovered: Recovered, unstored: Sequence[Token], *, json: bool) -> None:
    if json:
        output.write_json(asdict(recovered) | {"unstored": [_document(token) for token in unstored]})
        return
    for line in list(recovered_lines(recovered)) or ["Nothing to recover."]:
        output.write(line)
    if unstored:
        marked = output.amount(len(unstored), "token")
        output.write(f"{marked} with our marker that nobody here stores: --foreign revokes them.")
        for line in _lines(unstored):
            output.write(line)


def show_swept(swept: Swept, *, json: bool) -> None:
    if json:
        found = [_document(token) for token in swept.found]
        failed = [{"id": token_id, "why": why} for token_id, why in swept.failed]
        rest = {"revoked": swept.revoked, "left": swept.left, "failed": failed, "job_id": swept.job_id}
        output.write_json({"found": found} | rest)
        return
    if not swept.found:
        output.write("There are no tokens with our marker that nobody here stores.")
        return
    output.write(f"{output.amount(len(swept.revoked), 'token')} revoked for good, job {swept.job_id}")
    if swept.left:
        output.write(f"{output.amount(len(swept.left), 'token')} left: gone or stored by now")
    for token_id, why in swept.failed:
        output.write(f"{output.painted('x failed', 'x')}  {token_id}: {output.visible(why)}")


def _lines(tokens: Sequence[Token]) -> list[str]:
    lines = [f"  {one.id}  {one.account_id}  {output.visible(one.description)}" for one in tokens[:_SHOWN]]
    return lines if len(tokens) <= _SHOWN else [*lines, f"  and {len(tokens) - _SHOWN:,} more"]


def _document(token: Token) -> dict[str, object]:
    facts = {"id": token.id, "account_id": token.account_id, "description": token.description}
    return facts | {"active": token.active}
