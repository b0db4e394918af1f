"""Recorded histories of concurrent clients over REST, checked as decision 12 says: what was acknowledged is replayed in the
order of positions by a naive model, where each command must be allowed and have the outcome that was answered; a command that
began after another was answered has the later position; a refusal must be true at some moment between its question and its
answer; a read with `at-least` shows all that is at or below its position, each row as it was after the event that it names.

`./dev campaign histories [N]` runs N of them (10,000); test_histories.py as many as fit its minutes. A history is eight clients
of 50 operations each; they go on where the history before them ended. Odd ones trade, the others transfer and retire."""
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
TRADERS = {"acme": "trader", "globex": "buyer", "initech": "initech"}  # two clients each, with this key; the others hold and read
LEAST_KG = 1000  # of one organisation; with less a new plant begins
DAYS = 20
LOT_KG, MAKER_PPM, TAKER_PPM = 1000, 500, 2000
FUNDS_MICROS = 2_000_000_000  # of each organisation: a few tonnes' worth, so that it may lack
PRICES = [price * 1_000_000 for price in range(95, 106)]
KINDS = ("transfer", "retire", "hold", "release", "repeat", "other body", "read", "order", "cancel", "read order")
RETIREMENT = {"beneficiary": "Globex Ltd", "country": "GB", "purpose": "voluntary", "covered_from": "2026-01-01T00:00:00Z",
              "covered_to": "2026-07-01T00:00:00Z", "consent": True}


@dataclasses.dataclass
class Operation:
    kind: str
    org: str  # whose kilograms it moves, whose account it holds, whose holdings it reads
    path: str
    to: str = ""
    kg: int = 0
    id: str = ""
    body: dict = None
    order: str = ""  # that it cancels or reads
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

    @property
    def subject(self):
        return self.order or self.org


def text(micros):
    return f"{micros // 1_000_000}.{micros % 1_000_000:06}".rstrip("0").rstrip(".")


@dataclasses.dataclass
class Order:
    id: str
    org: str
    sells: bool
    price: int
    kg: int
    left: int
    rests: bool = False
    status: str = "open"
    reserved: int = 0

    def shown(self):
        return self.status, self.left, self.kg - self.left if self.status != "ended" else None


class Model:
    """Serials of one batch, lowest first, by organisation and state; money; a book of price and time; which accounts are held."""

    def __init__(self, held, funds):
        self.held, self.listed, self.retired = held, {org: [] for org in held}, collections.defaultdict(list)
        self.money, self.reserved, self.stopped = dict.fromkeys(held, funds), dict.fromkeys(held, 0), set()
        self.orders, self.book, self.fees, self.trades = {}, [], 0, []

    # what is allowed

    def why_not(self, operation):
        return getattr(self, "why_not_" + operation.kind)(operation)

    def why_not_transfer(self, operation):
        if operation.org in self.stopped:
            return "account-held"
        return None if len(self.held[operation.org]) >= operation.kg else "insufficient-kg"

    why_not_retire = why_not_transfer

    def why_not_hold(self, operation):
        return "account-held" if operation.org in self.stopped else None

    def why_not_release(self, operation):
        return None if operation.org in self.stopped else "not-held"

    def why_not_order(self, operation):
        if operation.org in self.stopped:
            return "account-held"
        order = self.made(operation)
        if order.sells:
            return None if len(self.held[order.org]) >= order.kg else "insufficient-kg"
        return None if self.money[order.org] >= order.reserved else "insufficient-funds"

    def why_not_cancel(self, operation):
        order = self.orders.get(operation.order)
        return None if order and order.status == "open" else "order-done"

    # what happens; returns the organisations whose holdings change, and the orders

    def carry_out(self, operation):
        self.touched = set()
        getattr(self, "on_" + operation.kind)(operation)
        return self.touched

    def move(self, source, target, org, to, kg):
        moved, source[org] = source[org][:kg], source[org][kg:]
        target[to] = sorted(target[to] + moved)
        self.touched |= {org, to}

    def on_transfer(self, operation):
        self.move(self.held, self.held, operation.org, operation.to, operation.kg)

    def on_retire(self, operation):
        self.move(self.held, self.retired, operation.org, operation.org, operation.kg)

    def on_hold(self, operation):
        self.stopped.add(operation.org)
        for order in list(self.book):
            if order.org == operation.org:
                self.close(order)

    def on_release(self, operation):
        self.stopped.remove(operation.org)

    def on_cancel(self, operation):
        self.close(self.orders[operation.order])

    # the book

    @staticmethod
    def reserve(price, kg):
        amount = price * kg // 1000
        return amount + -(-amount * max(MAKER_PPM, TAKER_PPM) // 1_000_000) + kg // LOT_KG

    def made(self, operation):
        body = operation.body
        price = round(float(body["price"]) * 1_000_000)
        return Order(operation.id, operation.org, body["side"] == "sell", price, body["kg"], body["kg"], body["tif"] == "gtc",
                     reserved=0 if body["side"] == "sell" else self.reserve(price, body["kg"]))

    def on_order(self, operation):
        order = self.orders[operation.id] = self.made(operation)
        if order.sells:
            self.move(self.held, self.listed, order.org, order.org, order.kg)
        else:
            self.money[order.org] -= order.reserved
            self.reserved[order.org] += order.reserved
        self.touched.add(order.id)
        crosses = lambda other: other.sells != order.sells and (order.price <= other.price if order.sells else order.price >= other.price)
        best = lambda other: -other.price if order.sells else other.price
        while order.left and order.status == "open" and (against := [other for other in self.book if crosses(other)]):
            other = min(against, key=best)  # the first of equals: the book is in the order of coming
            if other.org == order.org:  # cancel_newest
                self.close(order)
            else:
                self.trade(order, other)
        if order.left and order.rests:
            self.book.append(order)
        elif order.left:
            self.close(order)

    def trade(self, taker, maker):
        kg, price = min(taker.left, maker.left), maker.price
        sell, buy = (taker, maker) if taker.sells else (maker, taker)
        amount = price * kg // 1000
        fee = lambda order: -(-amount * (TAKER_PPM if order is taker else MAKER_PPM) // 1_000_000)
        self.move(self.listed, self.held, sell.org, buy.org, kg)
        kept = self.reserve(buy.price, buy.left - kg) if buy.left > kg else 0
        self.reserved[buy.org] -= buy.reserved - kept
        self.money[buy.org] += buy.reserved - kept - amount - fee(buy)
        self.money[sell.org] += amount - fee(sell)
        self.fees += fee(buy) + fee(sell)
        buy.reserved = kept
        self.trades.append((price, kg, maker.id, taker.id))
        for order in (taker, maker):
            order.left -= kg
            if not order.left:
                order.status = "filled"
        if not maker.left:
            self.book.remove(maker)
        self.touched |= {taker.id, maker.id}

    def close(self, order):
        order.status = "ended"
        if order in self.book:
            self.book.remove(order)
        if order.sells:
            self.move(self.listed, self.held, order.org, order.org, order.left)
        self.money[order.org] += order.reserved
        self.reserved[order.org] -= order.reserved
        order.left = order.reserved = 0
        self.touched.add(order.id)

    def shown(self, subject):
        """What a read of an organisation's holding, or of an order, says."""
        if subject in self.held:
            return len(self.held[subject]), len(self.listed[subject])
        return self.orders[subject].shown() if subject in self.orders else None


def serials(ranges):
    return sorted(kg for row in ranges for kg in range(row["start"], row["start"] + row["length"]))


class Client(threading.Thread):
    def __init__(self, world, org, key, seed, trades):
        super().__init__()
        self.world, self.org, self.key, self.random, self.log, self.wrong = world, org, key, random.Random(seed), [], None
        self.trades, self.known_kg, self.mine = trades, 0, []

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
            return self.holding(self.random.choice(("hold", "release", "release", "release")), self.random.choice(list(TRADERS)))
        if self.org == "auditor":
            return self.read(self.random.choice(list(TRADERS)))
        choices = {"order": 50, "cancel": 16, "transfer": 8, "repeat": 6, "other body": 3, "read": 8, "read order": 9} if self.trades else {
            "transfer": 60, "retire": 4, "repeat": 8, "other body": 4, "read": 24}
        kind = self.random.choices(list(choices), choices.values())[0]
        before = [operation for operation in self.log if operation.id and operation.done and operation.kind in ("transfer", "retire", "order")]
        if kind == "read" or (kind in ("repeat", "other body") and not before) or (kind in ("cancel", "read order") and not self.mine):
            return self.read(self.org)
        if kind in ("repeat", "other body"):
            first = self.random.choice(before)
            body = first.body if kind == "repeat" else {**first.body, "kg": first.kg + LOT_KG}
            return dataclasses.replace(first, kind=kind, body=body, answer=None, status=0)
        return getattr(self, kind.replace(" ", "_"))()

    def command(self, kind, path, body, **more):
        return Operation(kind, self.org, path, id=uuid7(), body=body, **more)

    def holding(self, kind, org):
        return Operation(kind, org, f"/v1/accounts/{self.world.story.orgs[org]}/{kind}", id=uuid7(), body={"reason": "a look"})

    def transfer(self):
        to = self.random.choice([name for name in TRADERS if name != self.org])
        kg = self.random.choice((1, 7, max(self.known_kg // 2, 1), max(self.known_kg, 1)))  # all of it: others may be faster
        return self.command("transfer", "/v1/transfers", {"to_org_id": self.world.story.orgs[to], "batch": self.world.batch, "kg": kg}, to=to, kg=kg)

    def retire(self):
        kg = self.random.randint(1, 3)
        return self.command("retire", "/v1/retirements", {"batch": self.world.batch, "kg": kg, **RETIREMENT}, kg=kg)

    def order(self):
        sells, kg = self.random.random() < 0.5, self.random.randint(1, 5) * LOT_KG
        what = {"market": self.world.market, "batch": self.world.batch} if sells else {"instrument": self.world.instrument}
        return self.command("order", "/v1/orders", {"side": "sell" if sells else "buy", "type": "limit", "tif": self.random.choice(("gtc", "gtc", "ioc")),
                                                    "price": text(self.random.choice(PRICES)), "kg": kg, **what}, kg=kg)

    def cancel(self):
        order = self.random.choice(self.mine)
        return self.command("cancel", f"/v1/orders/{order}/cancel", None, order=order)

    def read(self, org):
        at_least = self.world.position
        return Operation("read", org, f"/v1/holdings?org_id={self.world.story.orgs[org]}&at-least={at_least}", at_least=at_least)

    def read_order(self):
        order, at_least = self.random.choice(self.mine[-8:]), self.world.position
        return Operation("read order", self.org, f"/v1/orders/{order}?at-least={at_least}", order=order, at_least=at_least)

    def ask(self, operation):
        headers = {"Authorization": f"Bearer {self.world.story.keys[self.key]}"}
        if operation.id:
            headers |= {"Idempotency-Key": operation.id, **({"Content-Type": "application/json"} if operation.body else {})}
        operation.begin = time.monotonic()
        self.connection.request("POST" if operation.id else "GET", operation.path, json.dumps(operation.body) if operation.body else None, headers)
        answer = self.connection.getresponse()
        operation.status, operation.answer = answer.status, json.loads(answer.read())
        operation.end = time.monotonic()
        assert operation.status in (200, 201, 409, 422), operation
        self.log.append(operation)
        if operation.kind == "read":
            assert operation.done, operation
            operation.answer = next((row for row in operation.answer["items"] if row["batch"] == self.world.batch), None)
            self.known_kg = operation.answer["held_kg"] if operation.answer else 0
        elif operation.kind == "read order":
            assert operation.done, operation
        elif operation.done:
            self.world.position = max(self.world.position, operation.answer["position"])  # a race here only makes it lower
            if operation.kind == "order":
                self.mine.append(operation.id)


class World:
    """A plant with one large batch, which three organisations share, and a market for it."""

    def __init__(self, folder):
        self.broker = Broker(folder / "broker")
        self.daemon = Daemon(folder / "carbond", self.broker, {"http.key_rate": 1000000, "http.key_burst": 1000000000, "log.level": "warn"}).init().start()
        now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
        begin = now - datetime.timedelta(days=DAYS)
        us = lambda moment: int(moment.timestamp()) * 1_000_000
        self.story = story = Story(self.daemon, folder).people()
        story.organisation("initech", initech=["trader"])
        story.plant(self.broker, iso(us(begin)), iso(us(now))).project()
        issued = story.issue(story.submit(story.period(iso(us(begin)), iso(us(now))))[0]["id"])
        self.batch, self.position = issued["number"], issued["position"]
        share = len(self.ranges("acme", "held")) // 3
        for name in ("globex", "initech"):
            story.post("/v1/transfers", {"to_org_id": story.orgs[name], "batch": self.batch, "kg": share}, key="trader")
        self.open_market()
        self.model = Model({name: self.ranges(name, "held") for name in TRADERS}, FUNDS_MICROS)

    def open_market(self):
        story = self.story
        story.organisation("house")
        story.post("/v1/money/house", {"org_id": story.orgs["house"]})
        self.market = story.post("/v1/markets", {"kind": "removal", "currency": "EUR", "tick": "0.5", "lot_kg": LOT_KG, "maker_ppm": MAKER_PPM,
                                                 "taker_ppm": TAKER_PPM, "collar_ppm": 100000})["number"]
        self.instrument = story.post(f"/v1/markets/{self.market}/instruments", {"code": "ANY"})["number"]
        for name in TRADERS:
            made = story.post("/v1/money/deposits", {"org_id": story.orgs[name], "currency": "EUR", "amount": text(FUNDS_MICROS), "reference": f"of {name}"})
            self.position = made["position"]

    def check_money(self):
        for org in TRADERS:
            page = self.daemon.get(f"/v1/money/balances?at-least={self.position}", key=self.story.keys[TRADERS[org]])
            amounts, = (row["amounts"] for row in page["items"] if row["currency"] == "EUR")
            model = self.model.money[org], self.model.reserved[org]
            assert tuple(round(float(amounts.get(state, "0")) * 1_000_000) for state in ("held", "reserved")) == model, (org, amounts, model)
        trades = [(trade["trade"], round(float(trade["price"]) * 1_000_000), trade["kg"]) for trade in self.rows(f"/v1/markets/{self.market}/trades")]
        assert sorted(trades) == [(number, price, kg) for number, (price, kg, *_) in enumerate(self.model.trades, 1)], "the trades are others"

    def rows(self, path):
        rows, cursor = [], ""
        while cursor is not None:
            page = self.daemon.get(f"{path}?limit=1000&at-least={self.position}{cursor}")
            rows += page["items"]
            cursor = f"&cursor={page['next']}" if page.get("next") else None
        return rows

    def ranges(self, org, state):
        rows, cursor = [], ""
        while cursor is not None:
            page = self.daemon.get(f"/v1/holdings/ranges?limit=1000&batch={self.batch}&at-least={self.position}{cursor}", key=self.story.keys[TRADERS[org]])
            rows += [row for row in page["items"] if row["state"] == state]
            cursor = f"&cursor={page['next']}" if page.get("next") else None
        return serials(rows)

    def worn(self):
        return sum(map(len, self.model.held.values())) < len(TRADERS) * LEAST_KG

    def stop(self):
        self.daemon.stop()
        self.broker.stop()

    def history(self, seed, trades):
        people = [(name, key) for name, key in TRADERS.items() for _ in range(2)] + [("compliance", "compliance"), ("auditor", "auditor")]
        clients = [Client(self, org, key, f"{seed}/{number}", trades) for number, (org, key) in enumerate(people)]
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
        self.again = [operation for operation in log if operation.kind in ("repeat", "other body")]
        self.reads = [operation for operation in log if operation.kind in ("read", "read order")]
        commands = [operation for operation in log if operation.id and operation not in self.again]
        self.done = sorted((o for o in commands if o.done), key=lambda o: o.answer["position"])
        self.refused = [operation for operation in commands if not operation.done]
        self.positions = [operation.answer["position"] for operation in self.done]

    def all(self):
        assert len(set(self.positions)) == len(self.positions), "two commands have one position"
        self.windows()
        self.replay()
        self.repeats()
        self.world.position = max([self.world.position, *self.positions])
        for org in TRADERS:
            for state in ("held", "listed"):
                assert self.world.ranges(org, state) == getattr(self.model, state)[org], f"{org} does not have the {state} serials that the model says"
            assert set(self.model.retired[org]) <= set(self.world.ranges(org, "retired")), f"serials retired by {org} are missing"
        self.world.check_money()

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
        asked = collections.defaultdict(list)
        for operation in self.refused:
            asked[self.window(operation)[0]].append(operation)
        rows = {subject: [(0, self.model.shown(subject))] for subject in {*TRADERS, *(operation.order for operation in self.reads if operation.order)}}
        waiting = []
        for place in range(len(self.done) + 1):
            waiting = [o for o in waiting + asked[place] if self.model.why_not(o) != o.refusal]
            for operation in waiting:
                assert self.window(operation)[1] > place, f"{operation} was refused, but nothing was ever so"
            if place == len(self.done):
                break
            operation = self.done[place]
            assert self.model.why_not(operation) is None, f"{operation} was carried out, but {self.model.why_not(operation)}"
            for subject in self.model.carry_out(operation) & rows.keys():
                rows[subject].append((place + 1, self.model.shown(subject)))
        assert not waiting, waiting
        for operation in self.reads:
            self.positioned(operation, rows[operation.subject])

    def positioned(self, operation, rows):
        """The row is one of those that the model had, not older than what was asked for, not newer than what can have been."""
        row = operation.answer
        if row is None:
            return
        place = bisect.bisect_left(self.positions, row["position"]) + 1 if row["position"] > self.start else 0
        shown = (row["held_kg"], row["listed_kg"]) if operation.kind == "read" else (
            row["status"], row["left_kg"], row["filled_kg"] if row["status"] != "ended" else None)
        asked = bisect.bisect_right(self.positions, operation.at_least)
        assert (place, shown) in rows, f"{operation}: the model has {[what for at, what in rows if at == place]} after command {place}"
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
    """As many histories as are asked for, or as the seconds hold, and then until there was one of each kind of operation."""
    seed, end, told = seed_from_environment(), time.monotonic() + (seconds or 10 ** 9), time.monotonic()
    counts, done = collections.Counter(), 0
    missing = lambda: [kind for kind in (*KINDS, "trade") if not counts[kind] and kind != "other body"]
    more = lambda: done < histories and (time.monotonic() < end or missing())
    while more():
        with scratch() as folder:
            world = World(folder)
            try:
                while more() and not world.worn():
                    start, traded = world.position, len(world.model.trades)
                    log = world.history(f"{seed}/{done}", done % 2)
                    Check(world, start, log).all()
                    counts.update(o.kind if o.done else f"{o.kind}: {o.refusal}" for o in log)
                    counts["trade"] += len(world.model.trades) - traded
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
    assert not missing() and counts["other body: command-reused"], f"kinds that were never carried out: {missing()}"


if __name__ == "__main__":
    run(int(sys.argv[1]))
