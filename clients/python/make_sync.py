"""Makes `butaca/api.py` of `butaca/api_async.py`: `python make_sync.py`. With `--check` it says whether they agree."""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent / "src" / "butaca"
WORDS = [
    ('for asyncio. `butaca.api` is the same without `await`, made by `make_sync.py`.', 'without asyncio. Made of `butaca.api_async` by `make_sync.py`: edit that one.'),
    ("Use it as an async context manager; one instance serves any number of tasks.", "Use it as a context manager; one instance serves any number of threads."),
    ("import asyncio\n", "import time\n"), ("await asyncio.sleep", "time.sleep"), ("await self._http.aclose", "self._http.close"),
    ("await self.aclose", "self.close"), ("async def aclose", "def close"), ("__aenter__", "__enter__"), ("__aexit__", "__exit__"),
    ("from collections.abc import AsyncIterator, Sequence", "from collections.abc import Iterator, Sequence"),
    ("AsyncIterator", "Iterator"), ("httpx.AsyncClient", "httpx.Client"), ("AsyncApi", "Api"), ("async def", "def"), ("await ", ""),
]


def sync_of(text: str) -> str:
    for old, new in WORDS:
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    wanted = sync_of((FOLDER / "api_async.py").read_text())
    if "--check" in sys.argv:
        sys.exit((FOLDER / "api.py").read_text() != wanted)
    (FOLDER / "api.py").write_text(wanted)
