"""Big replies are compressed for clients that are elsewhere, and for nobody else."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from swiftbolt_assets.api.protection import Compressed

BIG, SMALL = "a bar like another; " * 2_000, "ok"
FAR, NEAR = "192.0.2.7", "127.0.0.1"


def answered(text: str, client: str, accepted: str = "gzip") -> httpx.Response:
    """Return the reply to a client at an address."""
    served = Compressed(PlainTextResponse(text))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(served, client=(client, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
            return await http.get("/", headers={"Accept-Encoding": accepted})

    return asyncio.run(ask())


def test_a_far_client_gets_a_big_reply_in_a_tenth_of_its_bytes() -> None:
    reply = answered(BIG, FAR)
    assert reply.headers["content-encoding"] == "gzip"
    assert int(reply.headers["content-length"]) < len(BIG) / 10
    assert reply.text == BIG
    assert "Accept-Encoding" in reply.headers["vary"]


@pytest.mark.parametrize(
    ("text", "client", "accepted"),
    [
        (BIG, NEAR, "gzip"),
        (BIG, "::1", "gzip"),
        (BIG, "a-socket", "gzip"),
        (BIG, FAR, "identity"),
        (SMALL, FAR, "gzip"),
    ],
)
def test_other_replies_go_as_they_are(text: str, client: str, accepted: str) -> None:
    reply = answered(text, client, accepted)
    assert "content-encoding" not in reply.headers
    assert reply.text == text
