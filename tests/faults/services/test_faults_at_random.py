"""Whatever happens in whatever order, the laws hold: a machine that plays application, server, network and crashes."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from mmconsole.domain.filters import parse
from mmconsole.domain.token_plans import Act
from mmconsole.errors import MmconsoleError
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.conftest import World

    from mmconsole.simulator.faults import FaultKind

    Run = Callable[[Any], Any]

KINDS: list[FaultKind] = ["drop_before", "drop_after", "cut_json", "status", "stale_reads", "login_page"]
CALLS = [
    ("POST", "/users"),
    ("POST", "/users/{id}/tokens"),
    ("POST", "/teams/{team_id}/members"),
    ("PUT", "/users/{id}/patch"),
    ("PUT", "/users/{id}/active"),
    ("POST", "/users/tokens/revoke"),
    ("POST", "/users/ids"),
    ("GET", "/users/tokens"),
    ("GET", "/users/tokens/{token_id}"),
    ("GET", "/users/email/{email}"),
    ("GET", "/users/{id}"),
    ("GET", "/users/{id}/teams"),
    ("GET", "/users/{id}/tokens"),
]
TOKEN_CALLS = [
    ("POST", "/users/{id}/tokens"),
    ("POST", "/users/tokens/disable"),
    ("POST", "/users/tokens/enable"),
    ("POST", "/users/tokens/revoke"),
    ("GET", "/users/tokens/{token_id}"),
    ("GET", "/users/{id}"),
    ("GET", "/users/{id}/teams"),
    ("GET", "/users/{id}/tokens"),
]
EXAMPLES = int(os.environ.get("MMCONSOLE_TEST_EXAMPLES", "25"))
ADDRESSES = [f"p{number}@x.test" for number in range(6)]
PICK = st.integers(0, 5)


def machine_over(  # noqa: C901 - one class, made where its world is known
    new_world: Callable[..., Any], run: Run
) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.opened = new_world()
            self.world: World = run(self.opened.__aenter__())
            self.world.set(sync__deactivate=True, guard__removals=1000, mattermost__timeout=0.5)
            self.ids: list[str] = []
            self.disabled_by_others: set[str] = set()

        def teardown(self) -> None:
            run(self.opened.__aexit__(None, None, None))

        # ── the application ──────────────────────────────────────────────────────────────────────

        @rule(number=PICK, verified=st.booleans())
        def add(self, number: int, *, verified: bool) -> None:
            self.ids.append(self.world.add(ADDRESSES[number], verified=verified))

        @precondition(lambda self: self.ids)
        @rule(pick=PICK, name=st.sampled_from(["Ann", "Bo", ""]))
        def rename(self, pick: int, name: str) -> None:
            self.world.rename(self._one(pick), name, "Lee")

        @precondition(lambda self: self.ids)
        @rule(pick=PICK, number=PICK, verified=st.booleans())
        def readdress(self, pick: int, number: int, *, verified: bool) -> None:
            stamp = "2024-01-01 00:00:00" if verified else None
            self.world.edit(self._one(pick), email=ADDRESSES[number], email_verified_at=stamp)

        @precondition(lambda self: self.ids)
        @rule(pick=PICK)
        def leave(self, pick: int) -> None:
            self.world.leave(self._one(pick))

        @precondition(lambda self: self.ids)
        @rule(pick=PICK)
        def come_back(self, pick: int) -> None:
            self.world.come_back(self._one(pick))

        @precondition(lambda self: self.ids)
        @rule(pick=PICK)
        def delete(self, pick: int) -> None:
            user = self._one(pick)
            self.ids.remove(user)
            self.world.delete(user)

        @precondition(lambda self: self.ids)
        @rule(pick=PICK)
        def empty_the_column(self, pick: int) -> None:
            self.world.edit(self._one(pick), mattermost_token=None)

        # ── the server ───────────────────────────────────────────────────────────────────────────

        @precondition(lambda self: self.world.server.marked)
        @rule(pick=PICK)
        def revoke(self, pick: int) -> None:
            tokens = self.world.server.marked
            self.world.server.state.remove_token(tokens[pick % len(tokens)])

        @precondition(lambda self: self.world.server.marked)
        @rule(pick=PICK)
        def disable(self, pick: int) -> None:
            tokens = self.world.server.marked
            token = tokens[pick % len(tokens)]
            if token.is_active:
                self.disabled_by_others.add(token.id)
            self.world.server.disable(token)

        @precondition(lambda self: self.world.server.people)
        @rule(pick=PICK, active=st.booleans())
        def set_active(self, pick: int, *, active: bool) -> None:
            people = self.world.server.people
            self.world.server.state.set_active(people[pick % len(people)], active=active)

        @precondition(lambda self: len(self.world.server.people) < 12)
        @rule(number=PICK, verified=st.booleans())
        def sign_up(self, number: int, *, verified: bool) -> None:
            if ADDRESSES[number] not in self.world.server.state.by_email:
                self.world.server.add(ADDRESSES[number], f"own{len(self.world.server.people)}", email_verified=verified)

        @precondition(lambda self: self.world.server.people)
        @rule(pick=PICK, roles=st.sampled_from(["system_user", "system_user system_manager"]))
        def give_roles(self, pick: int, roles: str) -> None:
            people = self.world.server.people
            self.world.server.change(people[pick % len(people)], roles=roles)

        @rule(seconds=st.sampled_from([1, 60, 200]))
        def time_passes(self, seconds: int) -> None:
            self.world.later(seconds)

        # ── us ───────────────────────────────────────────────────────────────────────────────────

        @rule(
            kind=st.sampled_from(KINDS), call=st.sampled_from(CALLS), after=st.integers(0, 3), times=st.integers(1, 3)
        )
        def sync_with_a_fault(self, kind: FaultKind, call: tuple[str, str], after: int, times: int) -> None:
            self.world.server.faults.add(Fault(kind, *call, times=times, after=after, seconds=60))
            before = self._unverified()
            with suppress(MmconsoleError):
                run(self.world.sync())
            self.world.server.faults.clear()
            self._nothing_unverified_was_pushed(before)

        @rule(turns=st.integers(0, 400))
        def crash_while_syncing(self, turns: int) -> None:
            before = self._unverified()
            run(self._crash(turns, self.world.sync()))
            self.world.end_leases()
            self._nothing_unverified_was_pushed(before)

        async def _crash(self, turns: int, act: Coroutine[Any, Any, Any]) -> None:
            running = asyncio.create_task(act)
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            with suppress(asyncio.CancelledError, MmconsoleError):
                await running

        @precondition(lambda self: self.ids)
        @rule(act=st.sampled_from(list(Act)), pick=PICK, at_once=st.booleans(), force=st.booleans())
        def ask_for_a_token(self, act: Act, pick: int, *, at_once: bool, force: bool) -> None:
            before, barred = self._tokens(), self._barred_tokens()
            with suppress(MmconsoleError):
                run(self.world.ask(act, self._one(pick), at_once=at_once, force=force))
            self._nobody_got_a_third_token(before)
            assert self._barred_tokens() <= barred, "an account with administrator rights got a token"

        @precondition(lambda self: self.ids)
        @rule(
            act=st.sampled_from(list(Act)),
            kind=st.sampled_from(KINDS),
            call=st.sampled_from(TOKEN_CALLS),
            after=st.integers(0, 2),
            times=st.integers(1, 3),
        )
        def ask_for_all_tokens_with_a_fault(
            self, act: Act, kind: FaultKind, call: tuple[str, str], after: int, times: int
        ) -> None:
            self.world.server.faults.add(Fault(kind, *call, times=times, after=after, seconds=60))
            before = self._tokens()
            with suppress(MmconsoleError):
                run(self.world.ask(act, wanted=parse(""), force=True))
            self.world.server.faults.clear()
            self._nobody_got_a_third_token(before)

        @precondition(lambda self: self.ids)
        @rule(act=st.sampled_from(list(Act)), pick=PICK, turns=st.integers(0, 200))
        def crash_while_asking(self, act: Act, pick: int, turns: int) -> None:
            before = self._tokens()
            run(self._crash(turns, self.world.ask(act, self._one(pick), force=True)))
            self.world.end_leases()
            self._nobody_got_a_third_token(before)

        @rule()
        def recover_and_sync_twice(self) -> None:
            world, before = self.world, self._unverified()
            run(world.recover())
            self._withheld_tokens_are_dead()
            self._what_others_disabled_stays_so()
            world.later(500)
            first = run(world.sync(full=True))
            assert first.fault is None
            world.assert_in_order()
            second = run(world.plan(full=True))
            assert second.planned == 0, (first.counts, second.steps, second.listed)
            self._nothing_unverified_was_pushed(before)

        # ── laws ─────────────────────────────────────────────────────────────────────────────────

        def _one(self, pick: int) -> str:
            return self.ids[pick % len(self.ids)]

        def _tokens(self) -> Counter[str]:
            """How many tokens of ours each account has."""
            return Counter(token.user_id for token in self.world.server.marked)

        def _barred_tokens(self) -> set[str]:
            users = self.world.server.state.users
            return {token.id for token in self.world.server.marked if "system_manager" in users[token.user_id].roles}

        def _nobody_got_a_third_token(self, before: Counter[str]) -> None:
            for account_id, number in self._tokens().items():
                assert number <= max(2, before[account_id])

        def _withheld_tokens_are_dead(self) -> None:
            tokens = self.world.server.state.tokens
            for record in self.world.records():
                if record["health"] == "withheld" and record["token_id"] in tokens:
                    assert not tokens[record["token_id"]].is_active

        def _what_others_disabled_stays_so(self) -> None:
            """Also after a revocation that was taken back."""
            active = {token.id for token in self.world.server.marked if token.is_active}
            assert not active & self.disabled_by_others

        def _unverified(self) -> dict[str, str]:
            """The addresses of linked accounts whose users have another, unverified one."""
            world, found = self.world, {}
            for record in world.records():
                row, account = world.row(record["user_id"]), world.server.state.users.get(record["account_id"] or "")
                if row and account and row["email_verified_at"] is None:
                    found[account.id] = account.email
            return found

        def _nothing_unverified_was_pushed(self, before: dict[str, str]) -> None:
            for account_id, email in before.items():
                assert self.world.server.state.users[account_id].email == email

    return Machine


def test_laws_hold_whatever_happens(worlds: Callable[[], Any]) -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    with asyncio.Runner() as runner:
        opened = worlds()
        machine = machine_over(runner.run(opened.__aenter__()), runner.run)
        try:
            run_state_machine_as_test(machine, settings=chosen)
        finally:
            runner.run(opened.__aexit__(None, None, None))
