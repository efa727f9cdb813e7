"""Asks questions as people and programs do, and collects what each of them caused."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

from pytest_orchestrator._checks.pages import read_page
from pytest_orchestrator._checks.round_trip.forms import form_of, submission
from pytest_orchestrator._checks.round_trip.journey import Heard, Journey

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import httpx

    from pytest_orchestrator._domain.hop import Hop

BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/143.0.0.0 Safari/537.36"
)
"""Who asks, unless somebody else is named: nothing by which a gate could be known."""
AGENTS = (
    BROWSER,
    "curl/8.14.1",
    "python-httpx/0.28.1",
    "node",
    "Mozilla/5.0 (compatible; bot)",
    "",
)
"""Who else may ask; the answer does not depend on it."""
DEADLINE_S = 15.0
"""Seconds in which a question must be answered, one way or the other: the page's patience."""
PAGE_DEADLINE_S = DEADLINE_S + 5.0
"""Seconds in which a page must be there: its patience with the api, and some."""
CORE_S = 5.0
"""Seconds core may have a question to itself, when several are asked at once."""
AT_ONCE = 20
_REDIRECTS = 5


class Exchanges(Protocol):
    """The exchanges so far; ``Hops`` has them."""

    @property
    def pending(self) -> Iterable[Hop]:
        """Those that are not answered yet."""
        ...

    def __iter__(self) -> Iterator[Hop]:
        """In the order in which they were answered."""
        ...


class Interview:
    """Asks the page, the api and core; several questions at once, if told so.

    Args:
        addresses: Of the services ``core``, ``api`` and ``frontend``.
        hops: What services say to each other.
        api_path: Where the api takes questions.
        core_path: Where core does.
        page_path: Where the form is.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        hops: Exchanges,
        *,
        api_path: str = "/api/query",
        core_path: str = "/internal/query",
        page_path: str = "/",
    ) -> None:
        import httpx  # noqa: PLC0415 - on demand

        self._httpx = httpx
        self._urls = addresses
        self._hops = hops
        self._paths = {"api": api_path, "core": core_path, "frontend": page_path}
        # Made once: each client would read the machine's certificates. Connections are not
        # shared: who asks at the same time must not come into each other's way.
        self._tls = ssl.create_default_context()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is kept open between questions."""

    def url(self, service: str) -> str:
        """Where a service takes questions."""
        return self._urls[service].rstrip("/") + self._paths[service]

    def ask_api(self, question: str, *, agent: str = BROWSER) -> Journey:
        """Put a question to the api, as a program does."""
        return self.ask_all("api", [question], agent=agent)[0]

    def ask_page(self, question: str, *, agent: str = BROWSER) -> Journey:
        """Type a question into the page's form and send it, as a browser without scripts does."""
        return self.ask_all("frontend", [question], agent=agent)[0]

    def ask_core(
        self, asked: Iterable[tuple[str, str]], *, at_once: int = 4, agent: str = BROWSER
    ) -> list[Heard]:
        """Put questions to core, in the api's place.

        Args:
            asked: Questions, each with its interaction's uuid.
            at_once: How many are under way at a time.
            agent: As who.
        """
        url = self.url("core")
        # A model has so many questions one after another.
        deadline_s = max(DEADLINE_S, CORE_S * at_once)

        def ask(each: tuple[str, str]) -> Heard:
            body = {"question": each[0], "interaction_id": each[1]}
            return self._send("POST", url, deadline_s, agent, json=body)

        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(ask, asked))

    def post(self, service: str, content: bytes) -> Heard:
        """Send a body as it is to where a service takes questions."""
        headers = {"content-type": "application/json"}
        return self._send(
            "POST", self.url(service), DEADLINE_S, BROWSER, content=content, headers=headers
        )

    def look(self, *, agent: str = BROWSER) -> Heard:
        """Get the page, with nothing asked."""
        return self._send("GET", self.url("frontend"), PAGE_DEADLINE_S, agent)

    def ask_all(self, at: str, questions: Iterable[str], *, agent: str = BROWSER) -> list[Journey]:
        """Put questions to the page or to the api, all at once; journeys in the same order."""
        return self.ask_everywhere([(at, question) for question in questions], agent=agent)

    def ask_everywhere(
        self, asked: Iterable[tuple[str, str]], *, agent: str = BROWSER
    ) -> list[Journey]:
        """Put each question to ``"frontend"`` or ``"api"``, all at once; in the same order."""
        asked = list(asked)
        ways: Mapping[str, Callable[[str, str], Heard]] = {
            "frontend": self._by_page,
            "api": self._by_api,
        }
        before = len(list(self._hops))
        with ThreadPoolExecutor(max(1, len(asked))) as pool:
            heard = list(pool.map(lambda each: ways[each[0]](each[1], agent), asked))
        hops = [*list(self._hops)[before:], *self._hops.pending]
        known = {question.strip() for _, question in asked}
        return [
            _journey(at, question, answer, hops, known)
            for (at, question), answer in zip(asked, heard, strict=True)
        ]

    def in_browser(self, question: str, ask: Callable[[str], str]) -> Journey:
        """What became of a question that somebody else types into the page.

        Args:
            question: What is typed.
            ask: Given the page's address, has it asked, and returns the page's HTML after that.
        """
        before = len(list(self._hops))
        heard = Heard(text=ask(self.url("frontend")))
        hops = [*list(self._hops)[before:], *self._hops.pending]
        journey = _journey("frontend", question, heard, hops, {question.strip()})
        return replace(journey, in_browser=True)

    def _by_api(self, question: str, agent: str) -> Heard:
        asked = {"question": question}
        return self._send("POST", self.url("api"), DEADLINE_S, agent, json=asked)

    def _by_page(self, question: str, agent: str) -> Heard:
        with self._client(PAGE_DEADLINE_S, agent) as client:
            return self._typed(client, question)

    def _typed(self, client: httpx.Client, question: str) -> Heard:
        page = self._heard(lambda: client.get(self.url("frontend")))
        if page.why:
            return page
        form = form_of(read_page(page.text))
        if isinstance(form, str):
            return Heard(page.status_code, page.headers, page.text, page.took_s, form, "form")
        target = urljoin(self.url("frontend"), form.action)
        if urlsplit(target)[:2] != urlsplit(self.url("frontend"))[:2]:
            return Heard(why=f"its form is sent to another host, {target}", rule="form")
        request = client.build_request(
            form.method, target, **submission(form, question),
            headers={"origin": self._urls["frontend"], "referer": self.url("frontend")},
        )  # fmt: skip
        return self._heard(lambda: client.send(request, follow_redirects=True))

    def _send(self, method: str, url: str, deadline_s: float, agent: str, **what: Any) -> Heard:
        with self._client(deadline_s, agent) as client:
            return self._heard(lambda: client.request(method, url, **what))

    def _client(self, deadline_s: float, agent: str) -> httpx.Client:
        return self._httpx.Client(
            verify=self._tls, timeout=deadline_s, max_redirects=_REDIRECTS,
            headers={"user-agent": agent}, trust_env=False,
        )  # fmt: skip

    def _heard(self, send: Callable[[], httpx.Response]) -> Heard:
        started_s = time.monotonic()
        try:
            answer = send()
        except self._httpx.TimeoutException:
            took_s = time.monotonic() - started_s
            return Heard(took_s=took_s, why=f"gives no answer within {took_s:.0f} s")
        except self._httpx.HTTPError as error:
            why = f"gives no answer: {str(error) or type(error).__name__}"
            return Heard(took_s=time.monotonic() - started_s, why=why)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Heard(answer.status_code, headers, answer.text, time.monotonic() - started_s)


def _journey(
    at: str, question: str, heard: Heard, hops: Iterable[Hop], known: Iterable[str]
) -> Journey:
    asked = [hop for hop in hops if hop.method == "POST"]
    own = [hop for hop in asked if hop.question == question.strip()]
    # Where several have tried, what was answered comes after what was not.
    own.sort(key=lambda hop: hop.status != 0)
    strangers = [h for h in asked if h.question is not None and h.question not in known]
    return Journey(
        question,
        heard,
        at,
        tuple(hop for hop in own if hop.service == "api"),
        tuple(hop for hop in own if hop.service == "core"),
        tuple(strangers),
    )
