"""What a look at the installation finds: everything that can be wrong, whether it is, and what cures it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mmconsole.errors import MmconsoleError

_ENDS_A_SENTENCE: Final = re.compile(r"(?<=[.!?]) (?=[A-Z])")


class Verdict(StrEnum):
    """Whether something is as it should be."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    group: str
    """What it belongs to, as `server` or `database`."""
    name: str
    """A few words that stay the same whatever is found."""
    verdict: Verdict
    sentence: str
    cure: str = ""
    """What to do about it; empty where nothing must be done."""
    advice: bool = False
    """Whether everything works all the same: worth knowing, but nothing to stop at."""

    @property
    def ails(self) -> bool:
        """Whether it keeps mmconsole from its work, or may."""
        return self.verdict is not Verdict.YES and not self.advice


class Sheet:
    """The findings of one group in the order of their names; what nobody came to is unknown."""

    def __init__(self, group: str, names: Iterable[str]) -> None:
        self._group = group
        self._found: dict[str, Finding | None] = dict.fromkeys(names)

    def yes(self, name: str, sentence: str) -> None:
        self._write(name, Verdict.YES, sentence)

    def no(self, name: str, sentence: str, cure: str = "", *, advice: bool = False) -> None:
        self._write(name, Verdict.NO, sentence, cure, advice=advice)

    def unknown(self, name: str, sentence: str, cure: str = "", *, advice: bool = False) -> None:
        self._write(name, Verdict.UNKNOWN, sentence, cure, advice=advice)

    def fault(self, name: str, fault: MmconsoleError) -> None:
        """Not as it should be, in the words of its error: the fact, then the way out."""
        self.no(name, *sentence_and_cure(fault))

    def skip(self, *names: str) -> None:
        """There is nothing to be found of these here."""
        for name in names:
            self._found.pop(name)

    def findings(self, *, otherwise: str) -> list[Finding]:
        """All of them; `otherwise` says why the rest is unknown."""
        return [found or Finding(self._group, name, Verdict.UNKNOWN, otherwise) for name, found in self._found.items()]

    def _write(self, name: str, verdict: Verdict, sentence: str, cure: str = "", *, advice: bool = False) -> None:
        if name not in self._found:
            message = f"{self._group} has no finding `{name}`"
            raise KeyError(message)
        self._found[name] = Finding(self._group, name, verdict, sentence, cure, advice)


def sentence_and_cure(fault: MmconsoleError) -> tuple[str, str]:
    """An error's words taken apart: they state the fact first."""
    sentence, *cure = _ENDS_A_SENTENCE.split(str(fault), maxsplit=1)
    return sentence, "".join(cure)


def counted(findings: Iterable[Finding]) -> Mapping[Verdict, int]:
    """How many there are of each verdict."""
    all_of_them = [finding.verdict for finding in findings]
    return {verdict: all_of_them.count(verdict) for verdict in Verdict}
