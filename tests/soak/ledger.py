"""Clients that keep a ledger: each write is repeated under its key until it is acknowledged, and all of it is noted.

Systems post leads (half of them known by Idempotency-Key alone), partners' people accept, decline and hand back on
pages. What the ledger says is compared with the database afterwards (tests/soak/audit.py).
"""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.soak.place import Place

TIMEOUT_S = 10.0
AGAIN_S = 0.15
FOLLOW_S = 0.3
REPLAYS = 0.05  # share of acknowledged requests that are sent once more, as a nervous client does
LINES = ("HX", "SENTINEL")
CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="csrf_token"')
ANSWERS = re.compile(r'/offers/(\d+)/(?:accept|decline)"')


@dataclass
class Entry:
    """One write a client wants done, and what it was told. `effect`: what stands in the ledger once acknowledged."""

    kind: str
    key: str
    effect: str | None = None
    tries: int = 0
    unknown: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass
class Ledger:
    """What all clients wanted and were told; `good` are (began, ended) of every request that succeeded."""

    entries: list[Entry] = field(default_factory=list)
    good: list[tuple[float, float]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)  # positions of the feed in the order they were told
    catch_up: Callable[[], None] | None = None  # reads the feed to its end
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, entry: Entry) -> Entry:
        """Note a wish before it is sent."""
        with self.lock:
            self.entries.append(entry)
        return entry

    def success(self, began: float) -> None:
        """Note that a request begun at `began` has succeeded now."""
        with self.lock:
            self.good.append((began, time.time()))

    def count(self, what: str) -> None:
        """Note one answer, or none."""
        with self.lock:
            self.statuses[what] += 1

    def fault(self, text: str) -> None:
        """Note an answer that no client should get."""
        with self.lock:
            self.faults.append(text)

    def acknowledged(self, kind: str | None = None) -> list[Entry]:
        """Entries whose effect was confirmed."""
        return [e for e in self.entries if e.effect is not None and kind in (None, e.kind)]

    def back_after(self, moment: float) -> float | None:
        """Seconds from `moment` to the end of the first request begun after it that succeeded."""
        ends = [ended for began, ended in self.good if began >= moment]
        return min(ends) - moment if ends else None


class Clients:
    """Threads that load a place and write to one ledger."""

    def __init__(
        self, place: Place, seed: int, writers: int = 4, answerers: int = 5, pause_s: float = 0.12
    ) -> None:
        self.place, self.seed, self.pause_s = place, seed, pause_s
        self.ledger = Ledger()
        self.stopping = threading.Event()
        self.cursor = ""
        self.ledger.catch_up = self._catch_up
        people = place.town["people"][:answerers]
        self.threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(writers)]
        self.threads += [
            threading.Thread(target=self._answer, args=(n, person), daemon=True)
            for n, person in enumerate(people)
        ]
        self.threads.append(threading.Thread(target=self._follow, daemon=True))

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, patience_s: float = 60.0) -> None:
        """No new wishes; those begun are repeated until they are acknowledged."""
        self.stopping.set()
        end = time.monotonic() + patience_s
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
        stuck = sum(thread.is_alive() for thread in self.threads)
        if stuck:
            self.ledger.fault(f"{stuck} clients were never told what became of their request")

    # -- one request ---------------------------------------------------------------------------------------------

    def _send(
        self, call: Callable[[], requests.Response], entry: Entry | None = None
    ) -> requests.Response | None:
        """One try; None when nothing is known of it (no answer, or a 503: try again)."""
        began = time.time()
        if entry is not None:
            entry.tries += 1
        try:
            answer = call()
        except requests.RequestException as error:
            self.ledger.count(type(error).__name__)
            if entry is not None:
                entry.unknown += 1
            return None
        self.ledger.count(str(answer.status_code))
        if answer.status_code >= 500:
            if answer.status_code != 503:
                what = f"{answer.request.method} {answer.request.path_url}: {answer.status_code}"
                self.ledger.fault(
                    f"{what} at {time.strftime('%H:%M:%S')}, {answer.headers.get('Content-Type')}"
                )
            elif "Retry-After" not in answer.headers:
                self.ledger.fault(f"{answer.request.path_url}: 503 without Retry-After")
            if entry is not None:
                entry.unknown += 1
            return None
        if answer.status_code < 400:
            self.ledger.success(began)
        return answer

    def _until(self, call: Callable[[], requests.Response], entry: Entry | None = None) -> requests.Response:
        """Repeat until there is an answer."""
        while True:
            answer = self._send(call, entry)
            if answer is not None:
                return answer
            time.sleep(AGAIN_S)

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.place.port}{path}"

    # -- systems -------------------------------------------------------------------------------------------------

    def _write(self, number: int) -> None:
        chance = random.Random(f"{self.seed} writer {number}")
        web = requests.Session()
        token = self._token(web)
        serial = 0
        while not self.stopping.is_set():
            serial += 1
            entry = self.ledger.open(Entry("lead", f"w{number}-{serial}"))
            body = self._body(chance, entry.key)

            def post(
                body: dict[str, Any] = body, entry: Entry = entry, token: str = token
            ) -> requests.Response:
                headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": entry.key}
                return web.post(self._url("/api/v1/leads"), json=body, headers=headers, timeout=TIMEOUT_S)

            for _ in range(1 + (chance.random() < REPLAYS)):
                answer = self._until(post, entry)
                if answer.status_code == 401:
                    self.ledger.fault(f"{entry.key}: a valid token was refused")
                    token = self._token(web)
                    answer = self._until(lambda post=post, token=token: post(token=token), entry)  # type: ignore[misc]
                self._receipt(entry, answer)
            self.stopping.wait(self.pause_s * chance.uniform(0.5, 1.5))

    def _receipt(self, entry: Entry, answer: requests.Response) -> None:
        if answer.status_code not in (200, 201):
            self.ledger.fault(f"{entry.key}: {answer.status_code} {answer.text[:200]}")
            return
        number = answer.json()["number"]
        if entry.effect not in (None, number):
            self.ledger.fault(f"{entry.key} was {entry.effect} and is now {number}")
        entry.effect = number

    def _body(self, chance: random.Random, key: str) -> dict[str, Any]:
        place = chance.choice(self.place.town["places"])
        body = {
            "account": {"name": f"Customer {key}"},
            "contact": {"name": f"Buyer {key}", "email": f"buyer@{key}.example"},
            "place": place,
            "product_lines": [],
            "title": f"soak {key}",
            "source": "soak",
            "message": "We need a pump.",
        }
        return body | ({"external_key": f"X-{key}"} if chance.random() < 0.5 else {})

    def _follow(self) -> None:
        """The vendor's own system follows GET /api/v1/events by its cursor."""
        web = requests.Session()
        token = self._token(web)
        while not self.stopping.is_set():
            self._next_page(web, token)
            self.stopping.wait(FOLLOW_S)

    def _catch_up(self) -> None:
        web = requests.Session()
        token = self._token(web)
        while self._next_page(web, token):
            pass

    def _next_page(self, web: requests.Session, token: str) -> int:
        """Note what is new; how many events there were."""
        headers = {"Authorization": f"Bearer {token}"}
        url = self._url("/api/v1/events" + (f"?after={self.cursor}" if self.cursor else ""))
        answer = self._until(lambda: web.get(url, headers=headers, timeout=TIMEOUT_S))
        if answer.status_code != 200:
            self.ledger.fault(f"the feed after {self.cursor or 'nothing'}: {answer.status_code}")
            return 0
        page = answer.json()
        self.cursor = page["next"]
        self.ledger.followed += [int(event["id"].partition(".")[2]) for event in page["events"]]
        return len(page["events"])

    def _token(self, web: requests.Session) -> str:
        town = self.place.town
        data = {"grant_type": "client_credentials", "scope": "leads:write leads:read events:read"}
        data |= {"client_id": town["client_id"], "client_secret": town["client_secret"]}
        while True:
            answer = self._until(lambda: web.post(self._url("/oauth/token"), data=data, timeout=TIMEOUT_S))
            if answer.status_code == 200:
                token: str = answer.json()["access_token"]
                return token
            self.ledger.fault(f"token: {answer.status_code}")
            time.sleep(1)

    # -- partners' people ------------------------------------------------------------------------------------------

    def _answer(self, number: int, person: str) -> None:
        chance = random.Random(f"{self.seed} person {number}")
        web = requests.Session()
        self._sign_in(web, person)
        while not self.stopping.is_set():
            page = self._until(
                lambda: web.get(self._url("/offers"), timeout=TIMEOUT_S, allow_redirects=False)
            )
            if page.status_code != 200:
                self.ledger.fault(f"{person} is signed out ({page.status_code})")
                self._sign_in(web, person)
                continue
            waiting = sorted(set(ANSWERS.findall(page.text)))
            if waiting:
                self._answer_one(web, chance, chance.choice(waiting), csrf(page.text), person)
            self.stopping.wait(self.pause_s * chance.uniform(1, 3))

    def _answer_one(
        self, web: requests.Session, chance: random.Random, offer: str, token: str, who: str
    ) -> None:
        what = chance.choice(("accept", "accept", "decline"))
        entry = self.ledger.open(Entry(what, offer, detail={"person": who}))
        form = {"csrf_token": token} | ({"reason": "dates"} if what == "decline" else {})

        def post() -> requests.Response:
            url = self._url(f"/offers/{offer}/{what}")
            return web.post(url, data=form, timeout=TIMEOUT_S, allow_redirects=False)

        answer = self._until(post, entry)
        if not self._settled(entry, answer):
            return
        number = re.search(r"/leads/(L-\d+)", answer.headers.get("Location", ""))
        if what == "accept" and number and chance.random() < 0.3:
            self._hand_back(web, offer, number.group(1), token)

    def _hand_back(self, web: requests.Session, offer: str, number: str, token: str) -> None:
        entry = self.ledger.open(Entry("hand back", offer))

        def post() -> requests.Response:
            form = {"csrf_token": token, "reason": "no_capacity"}
            url = self._url(f"/leads/{number}/hand-back")
            return web.post(url, data=form, timeout=TIMEOUT_S, allow_redirects=False)

        self._settled(entry, self._until(post, entry))

    def _settled(self, entry: Entry, answer: requests.Response) -> bool:
        """303 is done; a conflict (or not found any more) after an unknown outcome says it had been done before."""
        if answer.status_code == 303 or (entry.unknown and answer.status_code in (404, 409)):
            entry.effect = entry.kind
            return True
        self.ledger.fault(
            f"{entry.kind} of offer {entry.key}: {answer.status_code} {answer.headers.get('Location')}"
        )
        return False

    def _sign_in(self, web: requests.Session, person: str) -> None:
        while True:
            page = self._until(lambda: web.get(self._url("/sign-in"), timeout=TIMEOUT_S))
            form = {"csrf_token": csrf(page.text), "email": person, "password": self.place.town["password"]}
            answer = self._until(
                lambda form=form: web.post(  # type: ignore[misc]
                    self._url("/sign-in"), data=form, timeout=TIMEOUT_S, allow_redirects=False
                )
            )
            if answer.status_code in (302, 303):
                return
            self.ledger.fault(f"sign-in of {person}: {answer.status_code}")
            time.sleep(1)


def csrf(page: str) -> str:
    """The token in a page's forms."""
    found = CSRF.search(page)
    return (found.group(1) or found.group(2)) if found else ""
