"""Recorded histories of concurrent clients over REST, checked as decision 12 says: what was acknowledged is replayed in the
order of positions by a model of twenty lines, where each command must be allowed; a command that began after another was
answered has the later position; a refusal must be true at some moment between its question and its answer; a read with
`at-least` shows all that is at or below its position, each row as it was after the event that it names.

`./dev campaign histories [N]` runs N of them (10,000); test_histories.py as many as fit its minutes. A history is eight clients
of 50 operations each; they go on where the history before them ended."""
import bisect
import collections
import dataclasses
import datetime
import http.client
import json
import random
import sys
import threading
import time

from campaign import TELL_EACH, iso, seed_from_environment
from harness import Broker, Daemon, scratch
from story import Story, uuid7

CLIENTS, OPERATIONS = 8, 50
TRADERS = ("acme", "globex", "initech")  # two clients each; the others hold and read
LEAST_KG = 300  # of one organisation; with less a new plant begins
DAYS = 20
KINDS = ("transfer", "retire", "hold", "release", "repeat", "other body", "read")
RETIREMENT = {"beneficiary": "Globex Ltd", "country": "GB", "purpose": "voluntary", "covered_from": "2026-01-01T00:00:00Z",
              "covered_to": "2026-07-01T00:00:00Z", "consent": True}


@dataclasses.dataclass
class Operation:
    kind: str
    org: str  # whose kilograms it moves, whose account it holds, whose holdings it reads
    to: str = ""
    kg: int = 0
    id: str = ""
    body: dict = None
    begin: float = 0
    end: float = 0
    status: int = 0
    answer: dict = None
    at_least: int = 0

    @property
    def done(self):
        return self.status in (200, 201)

    @property
    def refusal(self):
        return self.answer["type"].rsplit("/", 1)[-1]


class Model:
    """The twenty lines: serials of one batch, lowest first, by organisation; what is retired; which accounts are held."""

    def __init__(self, held):
        self.held, self.retired, self.stopped = held, collections.defaultdict(list), set()

    def why_not(self, operation):
        if operation.kind in ("transfer", "retire"):
            if operation.org in self.stopped:
                return "account-held"
            return None if len(self.held[operation.org]) >= operation.kg else "insufficient-kg"
        if operation.kind == "hold":
            return "account-held" if operation.org in self.stopped else None
        return None if operation.org in self.stopped else "not-held"

    def carry_out(self, operation):
        if operation.kind in ("transfer", "retire"):
            moved, self.held[operation.org] = self.held[operation.org][:operation.kg], self.held[operation.org][operation.kg:]
            place = self.held if operation.kind == "transfer" else self.retired
            goal = operation.to if operation.kind == "transfer" else operation.org
            place[goal] = sorted(place[goal] + moved)
        else:
            (self.stopped.add if operation.kind == "hold" else self.stopped.remove)(operation.org)


def serials(ranges):
    return sorted(kg for row in ranges for kg in range(row["start"], row["start"] + row["length"]))


class Client(threading.Thread):
    def __init__(self, world, org, key, seed):
        super().__init__()
        self.world, self.org, self.key, self.random, self.log, self.wrong = world, org, key, random.Random(seed), [], None
        self.known_kg = 0

    def run(self):
        try:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.world.daemon.port, timeout=60)
            for _ in range(OPERATIONS):
                self.ask(self.choose())
            self.connection.close()
        except Exception as wrong:  # told by the thread that waits
            self.wrong = wrong

    def choose(self):
        if self.org == "compliance":
            return Operation(self.random.choice(("hold", "release", "release")), self.random.choice(TRADERS), id=uuid7(), body={"reason": "a look"})
        if self.org == "auditor":
            return self.read(self.random.choice(TRADERS))
        kind = self.random.choices(("transfer", "retire", "repeat", "other body", "read"), (60, 4, 8, 4, 24))[0]
        before = [operation for operation in self.log if operation.id and operation.done]
        if kind == "read" or (kind in ("repeat", "other body") and not before):
            return self.read(self.org)
        if kind in ("repeat", "other body"):
            first = self.random.choice(before)
            body = first.body if kind == "repeat" else {**first.body, "kg": first.kg + 1}
            return dataclasses.replace(first, kind=kind, body=body, answer=None, status=0)
        if kind == "retire":
            kg = self.random.randint(1, 3)
            return Operation(kind, self.org, "", kg, uuid7(), {"batch": self.world.batch, "kg": kg, **RETIREMENT})
        to = self.random.choice([name for name in TRADERS if name != self.org])
        kg = self.random.choice((1, 7, max(self.known_kg // 2, 1), max(self.known_kg, 1)))  # all of it: others may be faster
        return Operation(kind, self.org, to, kg, uuid7(), {"to_org_id": self.world.story.orgs[to], "batch": self.world.batch, "kg": kg})

    def read(self, org):
        return Operation("read", org, at_least=self.world.position)

    def path(self, operation):
        org = self.world.story.orgs[operation.org]
        if operation.kind == "read":
            return f"/v1/holdings?org_id={org}&at-least={operation.at_least}"
        if operation.kind in ("hold", "release"):
            return f"/v1/accounts/{org}/{operation.kind}"
        return "/v1/transfers" if "to_org_id" in operation.body else "/v1/retirements"

    def ask(self, operation):
        headers = {"Authorization": f"Bearer {self.world.story.keys[self.key]}"}
        if operation.id:
            headers |= {"Idempotency-Key": operation.id, "Content-Type": "application/json"}
        operation.begin = time.monotonic()
        self.connection.request("GET" if operation.kind == "read" else "POST", self.path(operation), operation.body and json.dumps(operation.body), headers)
        answer = self.connection.getresponse()
        operation.status, operation.answer = answer.status, json.loads(answer.read())
        operation.end = time.monotonic()
        assert operation.status in (200, 201, 409, 422), operation
        self.log.append(operation)
        if operation.kind == "read":
            assert operation.done, operation
            operation.answer = next((row for row in operation.answer["items"] if row["batch"] == self.world.batch), None)
            self.known_kg = operation.answer["held_kg"] if operation.answer else 0
        elif operation.done:
            self.world.position = max(self.world.position, operation.answer["position"])  # a race here only makes it lower


class World:
    """A plant with one large batch, which three organisations share."""

    def __init__(self, folder):
        self.broker = Broker(folder / "broker")
        self.daemon = Daemon(folder / "carbond", self.broker, {"http.key_rate": 1000000, "http.key_burst": 1000000000, "log.level": "warn"}).init().start()
        now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
        begin = now - datetime.timedelta(days=DAYS)
        us = lambda moment: int(moment.timestamp()) * 1_000_000
        self.story = Story(self.daemon, folder).people()
        self.story.organisation("initech", initech=["trader"])
        self.story.plant(self.broker, iso(us(begin)), iso(us(now))).project()
        issued = self.story.issue(self.story.submit(self.story.period(iso(us(begin)), iso(us(now))))[0]["id"])
        self.batch, self.position = issued["number"], issued["position"]
        self.keys = {"acme": "trader", "globex": "buyer", "initech": "initech"}
        share = len(self.held("acme")) // 3
        for name in ("globex", "initech"):
            self.position = self.story.post("/v1/transfers", {"to_org_id": self.story.orgs[name], "batch": self.batch, "kg": share}, key="trader")["position"]
        self.model = Model({name: self.held(name) for name in TRADERS})

    def ranges(self, org, state):
        rows, cursor = [], ""
        while cursor is not None:
            page = self.daemon.get(f"/v1/holdings/ranges?limit=1000&batch={self.batch}&at-least={self.position}{cursor}", key=self.story.keys[self.keys[org]])
            rows += [row for row in page["items"] if row["state"] == state]
            cursor = f"&cursor={page['next']}" if page.get("next") else None
        return serials(rows)

    def held(self, org):
        return self.ranges(org, "held")

    def worn(self):
        return sum(map(len, self.model.held.values())) < len(TRADERS) * LEAST_KG

    def stop(self):
        self.daemon.stop()
        self.broker.stop()

    def history(self, seed):
        people = [(name, self.keys[name]) for name in TRADERS for _ in range(2)] + [("compliance", "compliance"), ("auditor", "auditor")]
        clients = [Client(self, org, key, f"{seed}/{number}") for number, (org, key) in enumerate(people)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        for client in clients:
            if client.wrong:
                raise client.wrong
        return [operation for client in clients for operation in client.log]


class Check:
    """One history against the model, which it leaves as the history does."""

    def __init__(self, world, start, log):
        self.world, self.model, self.start = world, world.model, start
        self.log = [operation for operation in log if operation.kind not in ("repeat", "other body")]
        self.again = [operation for operation in log if operation.kind in ("repeat", "other body")]
        self.reads = [operation for operation in self.log if operation.kind == "read"]
        self.done = sorted((o for o in self.log if o.kind != "read" and o.done), key=lambda o: o.answer["position"])
        self.refused = [operation for operation in self.log if operation.kind != "read" and not operation.done]
        self.positions = [operation.answer["position"] for operation in self.done]

    def all(self):
        assert len(set(self.positions)) == len(self.positions), "two commands have one position"
        self.windows()
        self.replay()
        self.repeats()
        for org in TRADERS:
            assert self.world.ranges(org, "held") == self.model.held[org], f"{org} does not hold the serials that the model says"
            assert set(self.model.retired[org]) <= set(self.world.ranges(org, "retired")), f"serials retired by {org} are missing"

    def windows(self):
        """What an operation may have seen: the number of commands that were surely before it, and that may have been."""
        ends = sorted((o.end, place) for place, o in enumerate(self.done))
        begins = sorted((o.begin, place) for place, o in enumerate(self.done))
        behind, lowest = [0], [len(self.done)]  # the highest place that had ended so early; the lowest that began so late
        for _, place in ends:
            behind.append(max(behind[-1], place + 1))
        for _, place in reversed(begins):
            lowest.append(min(lowest[-1], place))
        end_times, begin_times = [end for end, _ in ends], [begin for begin, _ in begins]
        self.window = lambda o: (behind[bisect.bisect_left(end_times, o.begin)], lowest[len(begin_times) - bisect.bisect_right(begin_times, o.end)])
        for place, operation in enumerate(self.done):
            low, high = self.window(operation)
            assert low <= place < high + 1, f"real time: {operation} is number {place}, but may be {low}..{high}"

    def replay(self):
        open_refusals = collections.defaultdict(list)
        for operation in self.refused:
            open_refusals[self.window(operation)[0]].append(operation)
        waiting, rows = [], {org: [(0, len(self.model.held[org]))] for org in TRADERS}
        for place in range(len(self.done) + 1):
            waiting = [o for o in waiting + open_refusals[place] if self.model.why_not(o) != o.refusal]
            for operation in waiting:
                assert self.window(operation)[1] > place, f"{operation} was refused, but nothing was ever so"
            if place == len(self.done):
                break
            operation = self.done[place]
            assert self.model.why_not(operation) is None, f"{operation} was carried out, but {self.model.why_not(operation)}"
            self.model.carry_out(operation)
            for org in {operation.org, operation.to} & set(TRADERS) if operation.kind in ("transfer", "retire") else ():
                rows[org].append((place + 1, len(self.model.held[org])))
        assert not waiting, waiting
        for operation in self.reads:
            self.positioned(operation, rows[operation.org])

    def positioned(self, operation, rows):
        """The row is one of those that the model had, not older than what was asked for, not newer than what can have been."""
        if operation.answer is None:
            return
        place = bisect.bisect_left(self.positions, operation.answer["position"]) + 1 if operation.answer["position"] > self.start else 0
        asked = bisect.bisect_right(self.positions, operation.at_least)
        fits = [kg for at, kg in rows if at == place]
        assert fits == [operation.answer["held_kg"]], f"{operation}: the model has {fits} after command {place}"
        needed = max(at for at, _ in rows if at <= asked)
        assert place >= needed, f"{operation} lacks what is at or below its position: shows {place}, asked for {needed}"
        assert place <= self.window(operation)[1], f"{operation} shows what came after it"

    def repeats(self):
        first = {operation.id: operation for operation in self.done}
        for operation in self.again:
            if operation.kind == "repeat":
                assert operation.done and operation.answer["position"] == first[operation.id].answer["position"], (operation, first[operation.id])
            else:
                assert (operation.status, operation.refusal) == (422, "command-reused"), operation


def run(histories, seconds=None):
    """As many histories as are asked for, or as the seconds hold; one of each kind of operation at least."""
    seed, end, told = seed_from_environment(), time.monotonic() + (seconds or 10 ** 9), time.monotonic()
    counts, done = collections.Counter(), 0
    while done < histories and time.monotonic() < end:
        with scratch() as folder:
            world = World(folder)
            try:
                while done < histories and time.monotonic() < end and not world.worn():
                    start = world.position
                    log = world.history(f"{seed}/{done}")
                    Check(world, start, log).all()
                    counts.update(o.kind if o.done else f"{o.kind}: {o.refusal}" for o in log)
                    done += 1
                    if time.monotonic() > told + TELL_EACH:
                        told = time.monotonic()
                        print(f"{done} of {histories} done", file=sys.stderr, flush=True)
            except BaseException:
                print(f"history {done} of seed {seed} failed", flush=True)
                raise
            finally:
                world.stop()
    print(f"histories of {CLIENTS} clients × {OPERATIONS} operations, seed {seed}: {done} done of {histories} asked")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items())))
    missing = [kind for kind in KINDS if not counts[kind] and kind != "other body"]
    assert not missing and counts["other body: command-reused"], f"kinds that were never carried out: {missing}"


if __name__ == "__main__":
    run(int(sys.argv[1]))
