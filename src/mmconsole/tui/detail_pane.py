"""Everything about one user: what is known, and what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from mmconsole.domain.health import STATUSES
from mmconsole.domain.tokens import Health
from mmconsole.services.hearing import Making
from mmconsole.tui.cells import fitted, harmless, width_of
from mmconsole.tui.frame import rule
from mmconsole.tui.moments import NONE, ago, day, distance
from mmconsole.tui.privacy import mask, mask_within
from mmconsole.tui.user_rows import TONES, explained, label, name_of
from mmconsole.tui.work import Trouble

if TYPE_CHECKING:
    from mmconsole.services.overview import ListedUser

_LABEL: Final = 13
_SHORT: Final = 4
"""Lines below which only the most important is said."""
_MAKING: Final = tuple(Making)
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


@dataclass(frozen=True, slots=True)
class Doing:
    """What goes on for a user, or why the last thing that was tried did not succeed."""

    steps: tuple[Making, ...] | None
    """Those of a new token that were begun, the last of which is under way; None when nothing is."""
    trouble: Trouble | None = None

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


class DetailPane(Widget):
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

    @property
    def short(self) -> bool:
        """Whether it is seen as three lines below the table."""
        return self.display and self.size.height < _SHORT

    def tell(
        self,
        listed: "ListedUser | None",
        *,
        now: datetime,
        masked: bool,
        doing: Doing | None = None,
        ways: Sequence[Way] = (),
    ) -> None:
        told = listed, now.replace(second=0, microsecond=0), masked, doing, ways
        if told != self._told:
            self._told, self._now, self._ways = told, now, ways
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
        text = Text(no_wrap=True, overflow="crop")
        text.append(rule(self._who(listed), "enter hides", width), style=self._style("label"))
        for name, value in self._facts(listed, now):
            tone = TONES[value[0]] if name == "Status" else ""
            for n, line in enumerate(_wrapped(harmless(value), width - _LABEL - 1)):
                text.append("\n").append(fitted("" if n else f" {name}", _LABEL), style=self._style("label"))
                text.append(fitted(line, width - _LABEL), style=self._style(tone) if tone else "")
        text.append("\n\n")
        if self._doing is not None:
            text.append_text(self._goes_on(self._doing, width))
        text.append(" Next step\n", style=self._style("label"))
        for line in _wrapped(NEXT[listed.status], width - 3):
            text.append(f"   {line}\n")
        for key, _, words in self._ways:
            for n, line in enumerate(_wrapped(words, width - 5 - len(key)) if words else ()):
                text.append(f"   {' ' * len(key) if n else key}", style=self._style("key")).append(f"  {line}\n")
        return text

    def _goes_on(self, doing: Doing, width: int) -> Text:
        text = Text()
        if doing.steps is not None:
            text.append(" At work\n", style=self._style("label"))
            for mark, word in doing.ticks():
                text.append(f"   {mark} {word}\n", style=self._style(TONES[mark]))
        elif doing.trouble is not None:
            text.append(" Last try\n", style=self._style("label"))
            for line in _wrapped(mask_within(doing.trouble_words(), hidden=self._masked), width - 3):
                text.append(f"   {harmless(line)}\n", style=self._style("bad"))
        return text.append("\n")

    def _facts(self, listed: "ListedUser", now: datetime) -> list[tuple[str, str]]:
        user, record = listed.user, listed.record
        verified = "" if user.email_verified else "  (not verified)"
        email = f"{mask(user.email, hidden=self._masked)}{verified}" if user.email else "none"
        ends = f"{day(record.expires_at)}  ({distance(record.expires_at, now)})" if record.expires_at else "never"
        return [
            ("Status", self._status(listed)),
            ("Why", mask_within(explained(listed, now), hidden=self._masked) or NONE),
            ("User", user.id),
            ("Name", mask(name_of(user), hidden=self._masked) or NONE),
            ("Email", email),
            ("Account", record.account_id or "none"),
            ("", ""),
            ("Token", f"{record.token_id}  (its id)" if record.token_id else "none"),
            ("Made", day(record.created_at)),
            ("Ends", ends if record.token_id else NONE),
            ("Last check", f"{day(record.checked_at)}  ({ago(record.checked_at, now)})" if record.checked_at else NONE),
        ]

    def _style(self, tone: str) -> Style:
        return self.get_component_rich_style(f"detail-pane--{tone}", partial=True)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
