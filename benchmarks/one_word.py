"""A Textual app in which each key changes one word: the least that a key costs that is seen to do something.

Pilot waits another 20 ms after each 20 in which an app took a millisecond of CPU, so that no such app comes to where
one is in which a key does nothing. It imports nothing of ours.
"""

import asyncio
import json
import sys
from dataclasses import asdict

from textual.app import App, ComposeResult
from textual.widgets import Static

from benchmarks.empty_app import Pace, watch


class OneWord(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self._word = Static()
        self._keys = 0

    def compose(self) -> ComposeResult:
        yield self._word

    def on_key(self) -> None:
        self._keys += 1
        self._word.update(str(self._keys), layout=False)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(watch(OneWord(), float(sys.argv[1]), Pace(**json.loads(sys.argv[2])))))))
