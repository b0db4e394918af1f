"""Purchases through the real daemon and carbonctl (docs/ROUTING.md): what is quoted is what is bought, of book, listing and pool at once;
bought and retired for one and from a list, safe to repeat; certificates, journal and views hold."""
import decimal
import json
import os
import subprocess

from harness import CARBONCTL, scratch
from offers import Place
from story import uuid7

D = decimal.Decimal
LINE = {"beneficiary": "Ada Ltd", "country": "GB", "purpose": "gift", "covered_from": "2025-01-01T00:00:00Z",
        "covered_to": "2026-01-01T00:00:00Z", "consent": True}


def carbonctl(place, *arguments, key, code=0):
    run = subprocess.run([str(CARBONCTL), *map(str, arguments)], capture_output=True, text=True,
                         env={**os.environ, "CARBOND_URL": f"http://127.0.0.1:{place.daemon.port}", "CARBOND_API_KEY": key})
    assert run.returncode == code, (arguments, run.returncode, run.stdout, run.stderr)
    return run


def filled(folder):
    """A book at 104, a listing at 102, a pool from 100 on, and sealed bids."""
    place = Place(folder)
    place.call("POST", "/v1/orders", {"side": "sell", "market": 1, "batch": place.batch, "price": "104", "kg": 5000}, 201, "acme")
    place.call("POST", "/v1/auctions", {"market": 1, "batch": place.batch, "kind": "listing", "kg": 2000, "lot_kg": 1, "price": "102"}, 201, "acme")
    place.call("POST", "/v1/auctions", {"market": 1, "batch": place.batch, "kind": "uniform", "kg": 1000, "lot_kg": 1, "price": "50",
                                        "ends_at": "2099-01-01T00:00:00Z", "reveals_until": "2099-01-02T00:00:00Z"}, 201, "acme")
    place.call("POST", "/v1/pools", {"instrument": 1, "fee_ppm": 3000, "chosen_ppm": 20000}, 201)
    place.call("POST", "/v1/pools/1/add", {"batch": place.batch, "kg": 50000, "maximum": "5000"}, 201, "acme")
    return place


def test_what_is_quoted_is_bought_and_retired():
    with scratch() as folder:
        place = filled(folder)
        quote = place.get("/v1/quotes?instrument=1&kg=7000&slippage_bps=100&valid_s=600")
        rows = {row["source"]: row for row in quote["rows"]}
        assert (rows["listing"]["kg"], rows["listing"]["price"], rows["listing"]["fee"]) == (2000, "102", "0.408")
        assert rows["book"]["kg"] == 4000 and rows["pool"]["kg"] == 1000 and quote["kg"] == 7000
        assert "sealed" in quote["notes"][0] and all(row["why"] for row in quote["rows"])
        assert D(quote["maximum"]) > D(quote["total"]) * D("1.01")
        body = {"instrument": 1, "kg": 7000, "maximum": quote["maximum"], "expires_at": quote["valid_until"]}
        place.refused("/v1/purchases", {**body, "maximum": "1"}, "globex", "price-limit")
        place.refused("/v1/purchases", {**body, "expires_at": "2026-01-01T00:00:00Z"}, "globex", "quote-expired")
        place.refused("/v1/purchases", {**body, "kg": 9000000, "maximum": "1000000000"}, "globex", "not-fillable")
        place.call("POST", "/v1/purchases", body, 403, "issuer")
        made = place.call("POST", "/v1/purchases", body, 201, "globex")
        bought = place.get(f"/v1/purchases/{made['id']}", "globex")
        assert (bought["kg"], bought["paid"], bought["fees"]) == (7000, quote["total"], quote["fees"])
        assert bought["marginal_price"] == quote["marginal_price"] and bought["certificates"] == []
        assert sorted((part["source"], part["kg"]) for part in bought["parts"]) == [("book", 4000), ("listing", 2000), ("pool", 1000)]
        assert place.held_kg("globex") == 7000 and D(place.money("globex")["held"]) == D("10000") - D(quote["total"])
        order = next(part["order"] for part in bought["parts"] if part["source"] == "book")
        assert place.get(f"/v1/orders/{order}", "globex")["status"] == "filled"
        assert place.get("/v1/purchases", "acme")["items"] == []

        # bought and retired in one, for as much as the money buys
        command = uuid7()
        body = {"instrument": 1, "maximum": "50", "lines": [LINE]}
        answers = [place.daemon.request("POST", "/v1/purchases", body, {"Idempotency-Key": command}, key=place.keys["initech"]) for _ in range(2)]
        assert [answer[0] for answer in answers] == [201, 200] and answers[1][1]["repeated"], answers
        status, answer, _ = place.daemon.request("POST", "/v1/purchases", {**body, "maximum": "51"}, {"Idempotency-Key": command},
                                                 key=place.keys["initech"])
        assert (status, answer["type"]) == (422, "/problems/command-reused")
        place.position = answers[0][1]["position"]
        certificate = place.get(f"/v1/certificates/{command}")
        bought = place.get(f"/v1/purchases/{command}", "initech")
        assert bought["certificates"] == [command] and certificate["kg"] == bought["kg"] > 400
        assert certificate["beneficiary"] == "Ada Ltd" and place.held_kg("initech") == 0

        journal = folder / "journal.ndjson"
        place.daemon.ctl("journal", "batches", "--output", journal)
        verified = place.daemon.ctl("verify", "--journal", journal)
        assert "2: each of the parts" in json.dumps(verified), verified
        assert place.daemon.stop() == 0
        for file in place.daemon.data.glob("views.db*"):
            file.unlink()
        place.daemon.start()
        assert place.get(f"/v1/purchases/{command}", "initech") == bought
        assert place.daemon.stop() == 0


def test_a_list_is_bought_and_retired_once():
    with scratch() as folder:
        place = filled(folder)
        listed, key = folder / "list.csv", place.keys["globex"]
        head = "beneficiary,country,kg,covered_from,covered_to,purpose,consent\n"
        lines = ['"Ada, Grace & Co",GB,1200,2025-01-01,2026-01-01,gift,true', "Bob,DE,3,2025-01-01,2026-01-01,,false",
                 "Bob,DE,4097,2025-01-01T00:00:00Z,2026-01-01,compliance,"]
        common = ("retire", "--from", listed, "--instrument", 1, "--maximum", "600")
        for wrong, said in ((lines[1].replace(",3,", ",three,"), "list.csv:3: kg"), (lines[1].replace("DE", "Germany"), "list.csv:3: country"),
                            (lines[1].replace("2026-01-01", "2024-01-01"), "list.csv:3: covered_to"), (lines[1] + ",", "list.csv:3: the line"),
                            (lines[1].replace(",,", ",fun,"), "list.csv:3: purpose")):
            listed.write_text(head + "\n".join([lines[0], wrong]) + "\n")
            assert said in carbonctl(place, *common, key=key, code=2).stderr
        listed.write_text(head + "\n".join(lines) + "\n")
        carbonctl(place, *common, "--check", key=key)
        assert place.held_kg("globex") == 0 and not (folder / "list.csv.purchase").exists()
        first = json.loads(carbonctl(place, *common, "--json", key=key).stdout)
        again = json.loads(carbonctl(place, *common, "--json", key=key).stdout)
        assert again == first and first["kg"] == 5300 and len(first["certificates"]) == 3
        place.position = first["position"]
        certificates = [place.get(f"/v1/certificates/{id}") for id in first["certificates"]]
        assert [row["kg"] for row in certificates] == [1200, 3, 4097]
        assert certificates[0]["beneficiary"] == "Ada, Grace & Co" and certificates[1]["beneficiary"] == "undisclosed"
        assert place.held_kg("globex") == 0
        retired = place.get(f"/v1/retirements?org_id={place.orgs['globex']}", "globex")["items"]
        assert sorted(row["kg"] for row in retired) == [3, 1200, 4097]
        money = place.money("globex")["held"]
        assert D(money) == D("10000") - D(first["paid"])

        listed.write_text(head + "\n".join(lines[:2]) + "\n")  # another list under the same key
        assert "something else was sent" in carbonctl(place, *common, key=key, code=1).stderr
        # all or nothing: one line too much, and nobody has anything
        other = folder / "other.csv"
        other.write_text(head + "\n".join([lines[0], "Bob,DE,900000,2025-01-01,2026-01-01,,"]) + "\n")
        refused = carbonctl(place, "retire", "--from", other, "--instrument", 1, "--maximum", "9000", key=key, code=1)
        assert "can be bought" in refused.stderr and not (folder / "other.csv.purchase").exists()
        assert place.money("globex")["held"] == money and place.held_kg("globex") == 0

        place.daemon.ctl("checkpoint", "--socket", place.daemon.data / "admin.sock")
        chain = folder / "chain.json"
        chain.write_text(json.dumps(place.get(f"/v1/serials/{certificates[2]['parts'][0]['serial']}/trust-chain", "compliance")))
        run = subprocess.run([str(CARBONCTL), "verify", str(chain), "--chain", "--registry", place.daemon.first["registry"]], capture_output=True, text=True)
        assert run.returncode == 6 and "FAIL" not in run.stdout, (run.stdout, run.stderr)  # consistent; nobody is trusted here
        assert place.daemon.stop() == 0
