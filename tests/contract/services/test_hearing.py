"""Following one run closely: the job, its users, and the steps of each new token."""

from typing import TYPE_CHECKING, Any

from mmconsole.domain.plans import Outcome, Result
from mmconsole.domain.token_plans import Act
from mmconsole.domain.users import UserId
from mmconsole.services.hearing import Making, heard_by
from mmconsole.services.tokens.tokens import TokenRequest

if TYPE_CHECKING:
    from tests.conftest import World


class Hearer:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any, Any]] = []

    def job(self, job_id: int) -> None:
        self.heard.append(("job", job_id, None))

    def begun(self, user_id: UserId) -> None:
        self.heard.append(("begun", user_id, None))

    def making(self, user_id: UserId, step: Making) -> None:
        self.heard.append(("making", user_id, step))

    def ended(self, result: Result) -> None:
        self.heard.append(("ended", result.user_id, result.outcome))


async def test_whoever_listens_hears_each_step_of_a_new_token_in_order(world: "World") -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    hearer = Hearer()

    async with world.core() as core:
        with heard_by(hearer):
            summary = await core.tokens.run(TokenRequest(Act.GENERATE, (ann,), force=True))

    steps = [("making", ann, step) for step in Making]
    ended = ("ended", ann, Outcome.REPLACED)
    assert hearer.heard == [("job", summary.job_id, None), ("begun", ann, None), *steps, ended]


async def test_nobody_hears_what_was_begun_before(world: "World") -> None:
    ann = world.add("ann@x.test", verified=True)
    hearer = Hearer()

    with heard_by(hearer):
        pass
    await world.sync(ann)

    assert hearer.heard == []
