"""A pool through the real daemon and carbonctl (docs/POOLS.md): opened, filled, traded with at what was quoted, paused by a suspended
batch and let go on, redeemed; the value of a share never falls but by the suspension (P10), also across a restart."""
import decimal
import fractions

from harness import scratch
from offers import Place

D = decimal.Decimal


def value(pool):
    """x·y ÷ s²"""
    return fractions.Fraction(pool["reserve_kg"] * int(D(pool["reserve"]) * 1000000), pool["shares"] ** 2)


class Watched:
    def __init__(self, place):
        self.place, self.pool = place, None

    def look(self, may_fall=False):
        was, self.pool = self.pool, self.place.get("/v1/pools/1")
        if was and was["shares"]:
            assert may_fall or value(self.pool) >= value(was), (was, self.pool)
        return self.pool


def test_a_pool_trades_pauses_and_keeps_its_value():
    with scratch() as folder:
        place = Place(folder)
        watched = Watched(place)
        place.call("POST", "/v1/pools", {"instrument": 1, "fee_ppm": 3000, "chosen_ppm": 20000}, 201)
        place.refused("/v1/pools/1/buy", {"kg": 1, "maximum": "1"}, "globex", "pool-liquidity")
        place.call("POST", "/v1/pools/1/add", {"batch": place.batch, "kg": 10000, "maximum": "1000"}, 201, "acme")
        first = watched.look()
        assert (first["reserve_kg"], first["reserve"], first["shares"], first["price"]) == (10000, "1000", 3162277, "100")

        quote = place.daemon.ctl("pools", "quote", 1, "--side", "buy", "--kg", 1000)
        assert quote["amount"] == "111.445449"
        place.refused("/v1/pools/1/buy", {"kg": 1000, "maximum": "111.445448"}, "globex", "pool-limit")
        place.daemon.ctl("pools", "buy", 1, "kg=1000", f"maximum={quote['amount']}", key=place.keys["globex"])
        assert D(place.money("globex")["held"]) == D("10000") - D(quote["amount"]) and place.held_kg("globex") == 1000
        watched.look()
        chosen = [{"batch": place.batch, "start": 9000, "length": 300}]
        place.call("POST", "/v1/pools/1/buy", {"kg": 300, "maximum": "100", "ranges": chosen}, 201, "initech")
        ranges = place.get(f"/v1/holdings/ranges?org_id={place.orgs['initech']}")["items"]
        assert [(row["start"], row["length"]) for row in ranges] == [(9000, 300)]
        watched.look()
        place.call("POST", "/v1/pools/1/sell", {"batch": place.batch, "kg": 500, "minimum": "50"}, 201, "globex")
        before = watched.look()
        assert int(before["price_time"]) > 0

        place.call("POST", f"/v1/batches/{place.batch}/hold", {"reason": "an auditor asks"}, 200, "compliance")
        empty = watched.look(may_fall=True)
        assert (empty["state"], empty["reserve_kg"], empty["shares"]) == ("paused", 0, before["shares"])
        assert place.get("/v1/pools/1/batches")["items"][0]["held_kg"] == before["reserve_kg"]
        place.refused("/v1/pools/1/sell", {"batch": place.batch, "kg": 1, "minimum": "0"}, "globex", "pool-paused")
        place.call("POST", f"/v1/batches/{place.batch}/release", {"reason": "all is well"}, 200, "compliance")
        for _ in range(2):
            place.call("POST", "/v1/pools/1/resume", None, 200, "compliance")
        again = watched.look()
        assert (again["state"], again["reserve_kg"]) == ("open", before["reserve_kg"])

        held = place.held_kg("acme")
        place.call("POST", "/v1/pools/1/redeem", {"shares": 1000000, "minimum_kg": 1}, 201, "acme")
        assert place.held_kg("acme") == held + 1000000 * again["reserve_kg"] // again["shares"]
        last = watched.look()
        assert place.get("/v1/pool-shares", "acme")["items"] == [
            {"org_id": place.orgs["acme"], "pool": 1, "shares": 2161277, "position": last["position"]}]
        assert place.daemon.stop() == 0
        for file in place.daemon.data.glob("views.db*"):
            file.unlink()
        place.daemon.start()
        assert place.get("/v1/pools/1") == last
        assert place.daemon.stop() == 0
