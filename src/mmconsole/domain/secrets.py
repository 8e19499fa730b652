"""A secret that does not show itself."""

from typing import Final, NoReturn, Self

STARS: Final = "********"


class Secret:
    """A token, key or code. Printing, formatting, logging and pickling it shows stars.

    `reveal()` is the only way to the text, so searching for `reveal(` finds every place that uses one.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        return self.__text

    def __repr__(self) -> str:
        return STARS

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return STARS

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__text

    def __hash__(self) -> int:
        return hash(self.__text)

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        message = "a secret is not pickled"
        raise TypeError(message)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self
