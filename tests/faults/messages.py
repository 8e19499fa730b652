"""HTTP on a bare socket."""

import asyncio


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """One request or answer: its head, and as much of a body as the head says.

    Raises asyncio.IncompleteReadError at the end of a connection.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)
