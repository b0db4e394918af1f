"""Listings and auctions through the real daemon and carbonctl (docs/AUCTIONS.md): a listing is taken in parts; sealed bids are committed
to, revealed, cleared and settled while time passes; the clearing document is made again here from nothing but the rules, and carbonctl
verify clears the auction again from the journal's export, of which no byte of a bid may be changed."""
import datetime
import decimal
import hashlib
import json
import struct
import subprocess
import uuid

from harness import CARBONCTL, scratch, wait_until
from offers import Place

D = decimal.Decimal


def in_seconds(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def commitment_of(auction, org, kg, price_micros, nonce):
    return hashlib.sha256(b"carbond/bid/1\0" + struct.pack("<Q", auction) + uuid.UUID(org).bytes + struct.pack("<qq", kg, price_micros)
                          + bytes.fromhex(nonce)).hexdigest()


def check_clearing(document):
    """Decision 23, uniform: the highest bids first, equal ones by commitment; all pay the lowest that was accepted."""
    left, clearing = document["kg"], 0
    valid = [bid for bid in document["bids"] if "kg" in bid and int(bid["price_micros"]) >= int(document["reserve_micros"])]
    for bid in sorted(valid, key=lambda bid: (-int(bid["price_micros"]), bid["bid"])):
        assert commitment_of(document["auction"], bid["org"], bid["kg"], int(bid["price_micros"]), bid["nonce"]) == bid["commitment"]
        got = 0 if bid["all_or_none"] and bid["kg"] > left else min(bid["kg"], left)
        left, clearing = left - got, int(bid["price_micros"]) if got else clearing
        assert bid["sold_kg"] == got and bid["outcome"] == ("won" if got else "lost"), bid
    for bid in document["bids"]:
        assert int(bid["paid_micros"]) == clearing * bid["sold_kg"] // 1000
        forfeit = -(-int(bid["maximum_micros"]) * document["forfeit_ppm"] // 1000000) if "kg" not in bid else 0
        assert int(bid["forfeited_micros"]) == forfeit and (forfeit == 0) == (bid["outcome"] != "forfeited")
    assert int(document["clearing_micros"]) == clearing and document["sold_kg"] == document["kg"] - left


def wait_for(place, auction, phase):
    wait_until(lambda: place.get(f"/v1/auctions/{auction}")["phase"] == phase, f"auction {auction} {phase}")


def verify(journal):
    return subprocess.run([str(CARBONCTL), "verify", "--journal", str(journal)], capture_output=True, text=True)


def test_kilograms_are_sold_at_a_price_and_to_sealed_bids():
    with scratch() as folder:
        place = Place(folder)
        # a listing, taken in parts, and cancelled
        number = place.call("POST", "/v1/auctions", {"kind": "listing", "market": 1, "batch": place.batch, "kg": 5000, "price": "120"}, 201, "acme")["number"]
        place.refused(f"/v1/auctions/{number}/take", {"kg": 7, "limit": "119.99"}, "globex", "price-limit")
        place.refused(f"/v1/auctions/{number}/take", {"kg": 5001, "limit": "120"}, "globex", "auction-left")
        place.refused(f"/v1/auctions/{number}/take", {"kg": 7, "limit": "120"}, "acme", "own-auction")
        place.daemon.ctl("auctions", "take", number, "kg=1500", "limit=120", key=place.keys["globex"])
        place.call("POST", f"/v1/auctions/{number}/cancel", None, 200, "acme")
        assert place.held_kg("globex") == 1500 and place.held_kg("acme") == 98500
        assert D(place.money("globex")["held"]) == D("10000") - 180 - D("0.36")  # 1.5 t at 120, and 0.2 %
        assert D(place.money("acme")["held"]) == D("10000") + 180 - D("0.18")

        # sealed bids: carbonctl makes them; one is not revealed
        number = place.call("POST", "/v1/auctions", {
            "kind": "uniform", "market": 1, "batch": place.batch, "kg": 3000, "lot_kg": 1000, "price": "90", "ends_at": in_seconds(3),
            "reveals_until": in_seconds(6), "forfeit_ppm": 100000}, 201, "acme")["number"]
        bids = []
        for who, kg, price in (("globex", 2000, "110"), ("initech", 2000, "100.50"), ("initech", 1000, "200"), ("globex", 1000, "89")):
            made = place.daemon.ctl("bid", "--auction", number, "--bidder", place.orgs[who], "--kg", kg, "--price", price)
            assert made["commitment"] == commitment_of(number, place.orgs[who], kg, int(D(price) * 1000000), made["reveal"]["nonce"])
            bid = place.call("POST", f"/v1/auctions/{number}/bids", {"commitment": made["commitment"], "maximum": "1000"}, 201, who)["number"]
            bids.append((who, bid, made["reveal"]))
        assert D(place.money("initech")["reserved"]) == 2 * (1000 + 2)
        place.refused(f"/v1/auctions/{number}/bids/1/reveal", bids[0][2], "globex", "auction-phase")
        wait_for(place, number, "reveals")
        place.refused(f"/v1/auctions/{number}/bids/1/reveal", {**bids[0][2], "price": "111"}, "globex", "commitment-mismatch", 422)
        for who, bid, reveal in bids:
            if bid != 3:
                place.call("POST", f"/v1/auctions/{number}/bids/{bid}/reveal", reveal, 200, who)
        shown = place.get(f"/v1/auctions/{number}/bids?org_id={place.orgs['globex']}", "globex")["items"]
        assert [row["bid"] for row in shown] == [1, 4]
        assert place.call("GET", f"/v1/auctions/{number}/clearing", status=409)
        assert place.call("GET", f"/v1/auctions/{number}/bids?org_id={place.orgs['globex']}", status=403, who="initech")
        wait_for(place, number, "over")
        path = folder / "clearing.json"
        place.daemon.ctl("auctions", "clearing", number, "--output", path)
        document = json.loads(path.read_text())
        assert path.read_text() == json.dumps(document, sort_keys=True, separators=(",", ":"))  # canonical: ASCII keys, no reals
        check_clearing(document)
        assert [bid["outcome"] for bid in document["bids"]] == ["won", "won", "forfeited", "lost"]
        assert place.held_kg("globex") == 3500 and place.held_kg("initech") == 1000
        assert "reserved" not in place.money("initech") and D(place.money("initech")["held"]) == 10000 - D("100.5") - D("0.201") - 100

        # the journal says the same, before and after a restart, and no bid in it can be changed
        journal = folder / "journal.ndjson"
        place.daemon.ctl("journal", "batches", "--output", journal)
        run = verify(journal)
        assert run.returncode == 0 and "1 of sealed bids: committed, revealed and cleared as they say" in run.stdout, run.stdout
        assert place.daemon.stop() == 0
        place.daemon.start()
        assert place.get(f"/v1/auctions/{number}/clearing") == document
        assert place.daemon.stop() == 0
