"""The market as its users see it, through the real daemon and tool: an issued batch is listed, a funded buyer trades, fees go to the
house, the buyer retires what it bought, and strangers see trades without names. The table is docs/MARKET.md, Routes and Streams."""
import http.client
import json

import pytest

from harness import wait_until
from story import uuid7
from test_main_job import batch, issued_world

LOT = 1000


@pytest.fixture(scope="module")
def market():
    """A market of removals in EUR with an instrument, the first lots of a batch in the seller's hands, and money in the buyer's."""
    with issued_world() as story:
        story.organisation("house", collector=["org-admin"])
        story.organisation("globex", trading=["trader"], running=["org-admin"], looking=["buyer"])
        story.post("/v1/money/house", {"org_id": story.orgs["house"]})
        story.market = story.post("/v1/markets", {"kind": "removal", "currency": "EUR", "tick": "0.01", "maker_ppm": 1000,
                                                  "taker_ppm": 2000, "collar_ppm": 100000})["number"]
        story.instrument = story.post(f"/v1/markets/{story.market}/instruments", {"code": "DAC", "durabilities": ["geological"],
                                                  "verifiers": [story.orgs["north"]], "verifiers_least": 2})["number"]
        paid = story.post("/v1/money/deposits", {"org_id": story.orgs["globex"], "currency": "EUR", "amount": "1000", "reference": "wire 1"})
        story.batch = story.issued["number"]
        assert batch(story)["kg"] > 2 * LOT + LOT // 5
        story.daemon.get(f"/v1/holdings?at-least={paid['position']}", key=story.keys["trader"])
        yield story


def sell(story, price, kg=LOT, **more):
    return story.post("/v1/orders", {"side": "sell", "market": story.market, "batch": story.batch, "price": price, "kg": kg, **more}, key="trader")


def buy(story, price, kg=LOT, key="trading", expect=(201,), command=None, **more):
    body = {"side": "buy", "instrument": story.instrument, "price": price, "kg": kg, **more}
    return story.post("/v1/orders", body, key=key, expect=expect, command=command)


def read(story, path, key=None, position=0):
    story.daemon.saw(position)
    return story.daemon.get(path, key=story.keys.get(key))


def money(story, key):
    rows = read(story, "/v1/money/balances", key, story.last)["items"]
    return next(row["amounts"] for row in rows if row["currency"] == "EUR")


class Watch:
    """Frames of a stream as they come."""

    def __init__(self, story, path, key, last=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", story.daemon.port, timeout=30)
        headers = {"Authorization": f"Bearer {story.keys[key]}", **({"Last-Event-ID": str(last)} if last is not None else {})}
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def next(self, wanted):
        """The next frame with this event: (id or None, data)."""
        frame = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                frame[name] = value
                continue
            if frame.get("event") == wanted:
                return frame.get("id"), json.loads(frame["data"])
            frame = {}

    def close(self):
        self.connection.close()


def test_a_tonne_is_sold_paid_and_retired(market):
    story = market
    tape = Watch(story, f"/v1/markets/{story.market}/stream", "auditor")
    book = Watch(story, f"/v1/instruments/{story.instrument}/stream?levels=1", "looking")
    assert book.next("depth")[1]["asks"] == []
    own = Watch(story, "/v1/orders/stream", "trading")
    asked = sell(story, "120.50", 2 * LOT)
    assert book.next("depth")[1]["asks"] == [{"price": "120.5", "kg": 2 * LOT, "orders": 1}]
    command = uuid7()
    bought = buy(story, "121", command=command)
    again = buy(story, "121", command=command, expect=(200,))
    assert again["repeated"] and again["position"] == bought["position"] and bought["id"] == command
    story.last = bought["position"]

    # both sides
    order = read(story, f"/v1/orders/{command}", "trading", story.last)
    assert (order["status"], order["filled_kg"], order["filled_amount"], order["fees"]) == ("filled", LOT, "120.5", "0.241")
    rest = read(story, f"/v1/orders/{asked['id']}", "trader", story.last)
    assert (rest["status"], rest["left_kg"], rest["fees"]) == ("open", LOT, "0.1205")
    execution = read(story, "/v1/executions", "trading", story.last)["items"][0]
    assert execution["counterparty_org_id"] == story.orgs["acme"] and execution["order_id"] == command
    holding = next(row for row in read(story, "/v1/holdings", "trading", story.last)["items"] if row["batch"] == story.batch)
    assert holding["held_kg"] == LOT

    # delivery against payment, to the micro: 1,000 − 120.5 − 0.241; 120.5 − 0.1205; both fees to the house
    assert money(story, "running") == {"held": "879.259"}
    assert money(story, "trader")["held"] == "120.3795"
    assert money(story, "collector")["held"] == "0.3615"

    # strangers see the trade without names, and orders not at all
    trade = read(story, f"/v1/markets/{story.market}/trades", "north", story.last)["items"][0]
    assert trade["price"] == "120.5" and trade["ranges"] == execution["ranges"]
    assert not {"org_id", "order_id", "counterparty_org_id", "fee", "maker"} & set(trade)
    for key, path, status in (("north", f"/v1/orders/{command}", 403), ("trader", f"/v1/orders/{command}", 404),
                              ("trader", f"/v1/executions?order_id={command}", 404)):
        assert story.daemon.request("GET", path, key=story.keys[key])[0] == status, (key, path)
    assert tape.next("trade")[1] == trade
    assert book.next("depth")[1]["asks"] == [{"price": "120.5", "kg": LOT, "orders": 1}]
    assert own.next("execution")[1]["trade"] == trade["trade"]
    paid = {row["asset"]: row for row in (own.next("balance")[1] for _ in range(2))}
    assert paid["EUR"]["position"] == trade["position"] and paid["EUR"]["money"]["held"] == "879.259"
    assert paid[str(story.batch)]["kilograms"]["held"] == LOT

    # the buyer retires what it bought
    gone = story.post("/v1/retirements", {"ranges": execution["ranges"], "beneficiary": "Globex", "country": "GB", "purpose": "voluntary",
                                          "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z", "consent": True}, key="looking")
    assert own.next("balance")[1]["kilograms"]["retired"] == LOT
    certificate = read(story, f"/v1/certificates/{gone['id']}", None, gone["position"])
    assert certificate["parts"][0]["kg"] == LOT

    # a cancelled order releases
    last = story.post(f"/v1/orders/{asked['id']}/cancel", key="trader")["position"]
    mine = next(row for row in read(story, "/v1/holdings", "trader", last)["items"] if row["batch"] == story.batch)
    assert mine["listed_kg"] == 0
    story.post(f"/v1/orders/{asked['id']}/cancel", key="trader", expect=(409,))
    assert read(story, f"/v1/orders/{asked['id']}", "trader", last)["reason"] == "cancelled"
    for watch in (tape, book, own):
        watch.close()


def test_who_may_what(market):
    story = market
    for key in ("looking", "north", "auditor", "issuer"):
        buy(story, "100", key=key, expect=(403,))
    story.post("/v1/markets", {"kind": "reduction", "currency": "EUR", "tick": "1"}, key="trading", expect=(403,))
    story.post(f"/v1/markets/{story.market}/halt", key="trading", expect=(403,))
    story.post(f"/v1/traders/{story.orgs['globex']}/stop", key="trading", expect=(403,))
    story.post(f"/v1/traders/{story.orgs['acme']}/stop", key="running", expect=(404,))


def test_a_stream_resumes_over_a_restart(market):
    story = market
    tape = Watch(story, f"/v1/markets/{story.market}/stream", "auditor")
    begun = int(tape.next("begin")[0])
    tape.close()
    sell(story, "90")
    buy(story, "90")
    story.daemon.stop()
    story.daemon.start()
    tape = Watch(story, f"/v1/markets/{story.market}/stream", "auditor", begun)
    position, trade = tape.next("trade")
    assert trade["price"] == "90" and int(position) > begun
    tape.close()
    # the feed has it for whom it names, and for nobody else
    def feed(key):
        status, page, _ = story.daemon.request("GET", f"/v1/events?from={begun + 1}&limit=100", headers={"Accept": "application/json"}, key=story.keys[key])
        assert status == 200
        return [event["event"] for event in page["items"]]
    assert "traded" in feed("trading") and "traded" in feed("auditor") and "traded" not in feed("collector")


def test_the_tool_trades(market):
    story = market
    placed = story.ctl("orders", "place", "side=buy", f"instrument={story.instrument}", "price=50.50", f"kg={LOT}", key="trading")
    wait_until(lambda: story.ctl("orders", "list", "--status", "open", key="trading")["items"], "the order is in the list")
    assert story.ctl("orders", "get", placed["id"], key="trading")["price"] == "50.5"
    depth = story.ctl("instruments", "depth", story.instrument, "--levels", 1, key="trading")
    assert depth["bids"] == [{"price": "50.5", "kg": LOT, "orders": 1}]
    many = story.folder / "orders.json"
    many.write_text(json.dumps({"orders": [{"side": "buy", "instrument": story.instrument, "price": price, "kg": LOT} for price in ("40", "40.001", "41")]}))
    answer = story.ctl("orders", "place-batch", f"@{many}", key="trading")
    assert [item["status"] for item in answer["items"]] == [201, 422, 201]
    ended = story.ctl("orders", "cancel-all", "--market", story.market, key="trading")
    assert not read(story, "/v1/orders?status=open", "trading", ended["position"])["items"]
