"""Everything about one user: what is known, and what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from mmconsole.domain.health import STATUSES
from mmconsole.domain.tokens import Health
from mmconsole.services.hearing import Making
from mmconsole.tui.cells import fitted, harmless, width_of
from mmconsole.tui.frame import rule
from mmconsole.tui.kept import Kept
from mmconsole.tui.moments import NONE, ago, day, distance
from mmconsole.tui.privacy import mask, mask_within
from mmconsole.tui.user_rows import TONES, explained, label, name_of

if TYPE_CHECKING:
    from mmconsole.services.overview import ListedUser
    from mmconsole.tui.closer_look import Closer
    from mmconsole.tui.work import Trouble

_LABEL: Final = 13
_SHORT: Final = 4
"""Lines below which only the most important is said."""
_MAKING: Final = tuple(Making)
_WAITING: Final = "…"
_NAMED: Final = 5
"""Roles and teams that are named; the rest is counted."""
_FORMS: Final = {"plain": "plain, in the open", "laravel": "as Laravel encrypts", "unknown": "in no known form"}
NEXT: Final = {
    Health.OK: "The token works; there is nothing to do.",
    Health.EXPIRING: "It ends soon; a new one is made before the old one goes.",
    Health.OVERDUE: "It is older than wanted; a new one is made before the old one goes.",
    Health.MISSING: "No token was made yet.",
    Health.REVOKED: "The token is gone from the server: making another is safe.",
    Health.EXPIRED: "The old token is dead: making another is safe.",
    Health.DISABLED: "Somebody disabled it on the server: ask why before making another.",
    Health.WITHHELD: "An operator took it back; nothing automatic makes another.",
    Health.INACTIVE: "The account is deactivated: reactivate it on the server first.",
    Health.DENIED: "No token helps: the account needs MFA, or has too many rights.",
    Health.NO_ACCOUNT: "There is no account yet; a sync makes or links one.",
    Health.CONFLICT: "Only you can say whether the account with this address is theirs.",
    Health.UNKNOWN: "Nobody has asked the server yet, or it did not answer.",
    Health.WORKING: "It is being worked on.",
}
"""What a status means for whoever looks after it."""
_TEST: Final = {"test": "try the token itself again"}
_ADD: Final = {"add": "add to a channel"}
_SYNC: Final = {"sync": "bring account and token into step"}
_REVOKE: Final = {"revoke": "revoke: disabled first, then some minutes to undo"}
_AGAIN: Final = {"repair": "make a new token, test it, store it, then drop the old one"}
_USABLE: Final = _TEST | _ADD | _REVOKE
WAYS: Final[Mapping[Health, Mapping[str, str]]] = {
    Health.OK: _USABLE | {"repair": "replace the token, after showing the plan"},
    Health.EXPIRING: _AGAIN | _USABLE,
    Health.OVERDUE: _AGAIN | _USABLE,
    Health.MISSING: {"repair": "make a token, test it, store it"} | _SYNC,
    Health.REVOKED: _AGAIN | _TEST,
    Health.EXPIRED: _AGAIN | _TEST,
    Health.DISABLED: _AGAIN | _TEST | _REVOKE,
    Health.WITHHELD: {"repair": "make a new token, after asking"},
    Health.INACTIVE: _TEST | {"revoke": "revoke the token that nobody can use"},
    Health.DENIED: _TEST | {"revoke": "revoke the token: it must not be handed out"},
    Health.NO_ACCOUNT: _SYNC,
    Health.CONFLICT: {"sync": "look again, and say what is in the way"},
    Health.UNKNOWN: {"test": "ask the server now", "repair": "ask, and make a new token if it is dead"},
    Health.WORKING: {},
}
"""The actions that help, by their ids, and what each comes to then."""
OF_A_TOKEN: Final = frozenset({"test", "add", "revoke"})
"""Those that need a token to begin with."""

Way = tuple[str, str, str]
"""A key, its verb, and what it comes to for this user; empty where it does not help."""


class Rank(IntEnum):
    """What is left out first where there is too little room: the highest."""

    NEEDED = 0
    USEFUL = 1
    TOLD_ELSEWHERE = 2
    AIR = 3


class Fact(NamedTuple):
    name: str
    value: str
    rank: Rank = Rank.NEEDED


@dataclass(frozen=True, slots=True)
class Doing:
    """What goes on for a user, or why the last thing that was tried did not succeed."""

    steps: tuple[Making, ...] | None
    """Those of a new token that were begun, the last of which is under way; None when nothing is."""
    trouble: "Trouble | None" = None

    def ticks(self) -> list[tuple[str, str]]:
        """A glyph and a word for each step: `+` is done, `*` under way, `-` not begun."""
        begun = self.steps or ()
        marks = dict.fromkeys(begun[:-1], "+") | ({begun[-1]: "*"} if begun else {})
        return [(marks.get(step, "-"), step) for step in _MAKING]

    def trouble_words(self) -> str:
        """`test failed: …`"""
        if self.trouble is None:
            return ""
        return f"{self.trouble.step or 'it'} failed: {self.trouble.words}"


class DetailPane(Kept, Widget):
    """Three lines below a table, or a column beside it."""

    COMPONENT_CLASSES = {f"detail-pane--{tone}" for tone in (*TONES.values(), "label", "key")}  # noqa: RUF012 - as Textual's
    DEFAULT_CSS = """
    DetailPane { height: 1fr; }
    DetailPane .detail-pane--label { color: $text-muted; }
    DetailPane .detail-pane--key { text-style: bold; color: $text-primary; }
    DetailPane .detail-pane--good { color: $text-success; }
    DetailPane .detail-pane--soon { color: $text-warning; }
    DetailPane .detail-pane--bad { color: $text-error; }
    DetailPane .detail-pane--care { color: $text-accent; }
    DetailPane .detail-pane--quiet { color: $text-muted; }
    DetailPane .detail-pane--busy { color: $text-primary; }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._listed: ListedUser | None = None
        self._now: datetime | None = None
        self._masked = False
        self._told: tuple[object, ...] | None = None
        self._doing: Doing | None = None
        self._ways: Sequence[Way] = ()
        self._closer: Closer | None = None

    @property
    def short(self) -> bool:
        """Whether it is seen as three lines below the table."""
        return self.display and self.size.height < _SHORT

    def tell(  # noqa: PLR0913 - all that it draws
        self,
        listed: "ListedUser | None",
        *,
        now: datetime,
        masked: bool,
        doing: Doing | None = None,
        ways: Sequence[Way] = (),
        closer: "Closer | None" = None,
    ) -> None:
        """`closer` is what was looked up besides; None while that was not done."""
        told = listed, now.replace(second=0, microsecond=0), masked, doing, ways, closer
        if told != self._told:
            self._told, self._now, self._ways, self._closer = told, now, ways, closer
            self._listed, self._masked, self._doing = listed, masked, doing
            self.refresh()

    def render(self) -> Text:
        width = self.size.width
        if self._listed is None or self._now is None:
            return Text(rule("nobody", "", width), style=self._style("label"), no_wrap=True)
        if self.size.height < _SHORT:
            return self._short(self._listed, self._now, width)
        return self._whole(self._listed, self._now, width)

    def _short(self, listed: "ListedUser", now: datetime, width: int) -> Text:
        token = f"token {listed.record.token_id[:10]}… masked" if listed.record.token_id else "no token"
        text = Text(no_wrap=True, overflow="crop")
        text.append(rule(self._who(listed), token, width), style=self._style("label"))
        status = self._status(listed)
        why = mask_within(explained(listed, now), hidden=self._masked)
        checked = listed.record.checked_at
        words = [*filter(None, (f"({ago(checked, now)})" if checked else "", f"{why}." if why else ""))]
        text.append("\n ").append(status, style=self._style(TONES[status[0]]))
        text.append(fitted(f"  {'  '.join([*words, NEXT[listed.status]])}", width - len(status) - 1))
        return text.append("\n").append_text(self._last_line(width))

    def _who(self, listed: "ListedUser") -> str:
        return harmless(label(listed, masked=self._masked)[:40])

    def _status(self, listed: "ListedUser") -> str:
        at_work = self._doing is not None and self._doing.steps is not None
        return STATUSES[Health.WORKING if at_work else listed.status]

    def _last_line(self, width: int) -> Text:
        """The steps that are under way, or why the last try failed, or else what can be done."""
        if self._doing is not None and self._doing.steps is not None:
            return Text(fitted(" " + "   ".join(f"{mark} {word}" for mark, word in self._doing.ticks()), width))
        if self._doing is not None:
            words = mask_within(f" x {self._doing.trouble_words()}", hidden=self._masked)
            return Text(fitted(words, width), style=self._style("bad"))
        line = Text(no_wrap=True, overflow="crop")
        for key, verb, helps in self._ways:
            line.append(f" {key}", style=self._style("key" if helps else "label"))
            line.append(f" {verb}  ", style="" if helps else self._style("label"))
        return line

    def _whole(self, listed: "ListedUser", now: datetime, width: int) -> Text:
        lines = [(Rank.NEEDED, Text(rule(self._who(listed), "enter hides", width), style=self._style("label")))]
        for fact in self._facts(listed, now):
            lines += [(fact.rank, line) for line in self._fact(fact, width)]
        lines += self._goes_on(self._doing, width) if self._doing is not None else []
        lines += self._next_steps(listed, width)
        return Text("\n", no_wrap=True, overflow="crop").join(_fitting(lines, self.size.height))

    def _fact(self, fact: Fact, width: int) -> list[Text]:
        label, tone = self._style("label"), self._style(TONES[fact.value[0]]) if fact.name == "Status" else Style()
        return [
            Text.assemble((fitted("" if n else f" {fact.name}", _LABEL), label), (fitted(line, width - _LABEL), tone))
            for n, line in enumerate(_wrapped(harmless(fact.value), width - _LABEL))
        ]

    def _next_steps(self, listed: "ListedUser", width: int) -> list[tuple[Rank, Text]]:
        lines = [(Rank.AIR, Text()), (Rank.NEEDED, Text(" Next step", style=self._style("label")))]
        lines += [(Rank.USEFUL, Text(f"   {line}")) for line in _wrapped(NEXT[listed.status], width - 3)]
        for key, _, words in self._ways:
            for n, line in enumerate(_wrapped(words, width - 5 - len(key)) if words else ()):
                start = f"   {' ' * len(key) if n else key}"
                lines.append((Rank.NEEDED, Text.assemble((start, self._style("key")), f"  {line}")))
        return lines

    def _goes_on(self, doing: Doing, width: int) -> list[tuple[Rank, Text]]:
        lines = [Text()]
        if doing.steps is not None:
            lines.append(Text(" At work", style=self._style("label")))
            lines += [Text(f"   {mark} {word}", style=self._style(TONES[mark])) for mark, word in doing.ticks()]
        elif doing.trouble is not None:
            lines.append(Text(" Last try", style=self._style("label")))
            words = _wrapped(mask_within(doing.trouble_words(), hidden=self._masked), width - 3)
            lines += [Text(f"   {harmless(line)}", style=self._style("bad")) for line in words]
        return [(Rank.NEEDED, line) for line in lines]

    def _facts(self, listed: "ListedUser", now: datetime) -> list[Fact]:
        user, record = listed.user, listed.record
        verified = "" if user.email_verified else "  (not verified)"
        email = f"{mask(user.email, hidden=self._masked)}{verified}" if user.email else "none"
        why = mask_within(explained(listed, now), hidden=self._masked)
        name = mask(name_of(user), hidden=self._masked)
        return [
            Fact("Status", self._status(listed)),
            *([Fact("Why", why)] if why else []),
            Fact("User", user.id, Rank.TOLD_ELSEWHERE),
            *([Fact("Name", name, Rank.USEFUL)] if name else []),
            Fact("Email", email),
            Fact("Account", record.account_id or "none"),
            *(self._standing(now) if record.account_id else []),
            Fact("", "", Rank.AIR),
            *self._token(listed, now),
        ]

    def _token(self, listed: "ListedUser", now: datetime) -> list[Fact]:
        record = listed.record
        checked = f"{day(record.checked_at)}  ({ago(record.checked_at, now)})" if record.checked_at else NONE
        if record.token_id is None:
            return [Fact("Token", "none"), Fact("Last check", checked), *self._stored()]
        ends = f"{day(record.expires_at)}  ({distance(record.expires_at, now)})" if record.expires_at else "never"
        return [
            Fact("Token id", record.token_id),
            Fact("Made", self._made(listed)),
            Fact("Ends", ends),
            Fact("Last check", checked),
            *self._stored(),
        ]

    def _made(self, listed: "ListedUser") -> str:
        """`2026-01-04 by sync (job 12)`, as far as the log goes back."""
        origin = self._closer.origin if self._closer is not None else None
        if origin is None or origin.made is None:
            return day(listed.record.created_at)
        by = f"{origin.job.kind} (job {origin.job.id})" if origin.job is not None else origin.made.actor
        return f"{day(listed.record.created_at)[: len('2026-01-04')]} by {by}"

    def _stored(self) -> list[Fact]:
        """In which form the token stands in the application's table, by its look alone."""
        origin = self._closer.origin if self._closer is not None else None
        if origin is None:
            return [Fact("Stored in", _WAITING)]
        if origin.form == "sealed":
            return [Fact("Stored in", f"sealed, key {origin.key_id}")]
        return [Fact("Stored in", _FORMS.get(origin.form, "nothing is stored"))]

    def _standing(self, now: datetime) -> list[Fact]:
        """What only the server knows, with its age once it has one."""
        closer = self._closer
        if closer is None or (closer.standing is None and closer.asking):
            return [Fact("Roles", _WAITING), Fact("Teams", _WAITING)]
        trouble = f"? {mask_within(closer.trouble, hidden=self._masked)}" if closer.trouble else ""
        if closer.standing is None:
            return [Fact("Roles", trouble or "? not asked yet"), Fact("Teams", "?")]
        age = ago(closer.standing.asked_at, now)
        teams = _some(closer.standing.teams)
        return [
            Fact("Roles", _some(closer.standing.roles)),
            Fact("Teams", teams if age == "now" and not trouble else f"{teams}  ({age})"),
            *([Fact("Since then", trouble)] if trouble else []),
        ]

    def _style(self, tone: str) -> Style:
        return self.get_component_rich_style(f"detail-pane--{tone}", partial=True)


def _fitting(lines: Sequence[tuple[Rank, Text]], height: int) -> list[Text]:
    """As many lines as there are; where they are too many, what matters least goes first, from below."""
    kept = list(lines)
    for rank in sorted(Rank, reverse=True)[:-1]:
        for place in reversed([n for n, (own, _) in enumerate(kept) if own is rank]):
            if len(kept) <= height:
                break
            del kept[place]
    return [line for _, line in kept[:height]]


def _some(names: Sequence[str]) -> str:
    """`eng, ops and 7 more`."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}" or "none"


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
