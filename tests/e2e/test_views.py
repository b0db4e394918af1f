"""Every view is the journal's (and the audit logs') and nothing else: after a load that reaches all kinds of them, views.db is made
anew from the logs, and every row of every collection is byte for byte what it was. The way is the one of docs/OPERATORS.md, Views."""
import datetime
import sqlite3

import pytest

from harness import STORE, wait_until
from test_main_job import issued_world

SEALED, HOUR = 3, 3600


def soon(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def get(story, path, key=None):
    return story.daemon.get(path, key=story.keys.get(key) or story.daemon.key)


def pay_and_trade(story):
    """Money in all its forms, an order book with orders that trade, rest, sleep and are cancelled, limits, a trade that is undone."""
    acme, globex = story.orgs["acme"], story.orgs["globex"]
    story.post("/v1/money/house", {"org_id": story.orgs["house"]})
    for org, currency in ((globex, "EUR"), (acme, "EUR"), (acme, "USD")):
        story.post("/v1/money/deposits", {"org_id": org, "currency": currency, "amount": "5000", "reference": "wire"})
    story.post("/v1/money/transfers", {"to_org_id": acme, "currency": "EUR", "amount": "7"}, key="running")
    waits = story.post("/v1/money/transfers", {"to_org_id": acme, "currency": "EUR", "amount": "5", "expires_at": soon(HOUR), "pending": True}, key="running")
    story.post("/v1/money/transfers", {"to_org_id": acme, "currency": "EUR", "amount": "3", "expires_at": soon(HOUR), "pending": True}, key="running")
    story.post(f"/v1/money/transfers/{waits['id']}/post", {"amount": "4"}, key="running")
    story.post("/v1/money/withdrawals", {"org_id": acme, "currency": "EUR", "amount": "2", "reference": "out"})
    story.post(f"/v1/accounts/{acme}/limits", {"currency": "EUR", "lowest": "1"})
    story.post("/v1/money/rates", {"from_currency": "EUR", "to_currency": "USD", "rate": "1.1", "source": "ecb",
                                   "quoted_at": "2026-01-01T00:00:00Z", "expires_at": soon(HOUR)}, key="trader")
    story.post("/v1/money/conversions", {"provider_id": acme, "from_currency": "EUR", "to_currency": "USD", "amount": "6"}, key="trading")
    market = story.post("/v1/markets", {"kind": "removal", "currency": "EUR", "tick": "0.01", "maker_ppm": 1000, "taker_ppm": 2000, "collar_ppm": 100000})["number"]
    story.instrument = story.post(f"/v1/markets/{market}/instruments", {"code": "DAC", "verifiers": [story.orgs["south"]]})["number"]
    story.post(f"/v1/traders/{globex}/limits", {"market": market, "orders_most": 50}, key="running")
    sell = {"side": "sell", "market": market, "batch": story.batch}
    buy = {"side": "buy", "instrument": story.instrument}
    story.post("/v1/orders", {**sell, "price": "120", "kg": 2000, "shown_kg": 1000}, key="trader")
    story.post("/v1/orders", {**buy, "price": "121", "kg": 1000}, key="trading")
    resting = story.post("/v1/orders", {**buy, "price": "80", "kg": 2000}, key="trading")["id"]
    story.post(f"/v1/orders/{resting}/amend", {"kg": 1000}, key="trading")
    gone = story.post("/v1/orders", {**buy, "price": "81", "kg": 1000}, key="trading")["id"]
    story.post(f"/v1/orders/{gone}/cancel", key="trading")
    story.post("/v1/orders", {**buy, "type": "stop", "stop_price": "500", "kg": 1000}, key="trading")
    story.post("/v1/orders", {**buy, "type": "market", "tif": "ioc", "kg": 1000}, key="trading")
    return market


def offer(story, market):
    """A listing, an auction of sealed bids with a winner and a forfeit, a pool, a purchase, escrows, a contract."""
    acme, globex = story.orgs["acme"], story.orgs["globex"]
    listing = story.post("/v1/auctions", {"kind": "listing", "market": market, "batch": story.batch, "kg": 50, "price": "100"}, key="trader")["number"]
    story.post(f"/v1/auctions/{listing}/take", {"kg": 20, "limit": "100"}, key="trading")
    auction = story.post("/v1/auctions", {"kind": "uniform", "market": market, "batch": story.batch, "kg": 40, "lot_kg": 10, "price": "50",
                                          "ends_at": soon(SEALED), "reveals_until": soon(2 * SEALED), "forfeit_ppm": 100000}, key="trader")["number"]
    bids = [story.ctl("bid", "--auction", auction, "--bidder", globex, "--kg", 20, "--price", price) for price in ("110", "70")]
    numbers = [story.post(f"/v1/auctions/{auction}/bids", {"commitment": bid["commitment"], "maximum": "10"}, key="trading")["number"] for bid in bids]
    pool = story.post("/v1/pools", {"instrument": story.instrument, "fee_ppm": 3000, "chosen_ppm": 10000})["number"]
    story.post(f"/v1/pools/{pool}/add", {"batch": story.batch, "kg": 500, "maximum": "60"}, key="trader")
    story.post(f"/v1/pools/{pool}/buy", {"kg": 30, "maximum": "10"}, key="trading")
    story.post(f"/v1/pools/{pool}/sell", {"batch": story.batch, "kg": 10, "minimum": "0.1"}, key="trading")
    line = {"beneficiary": "Ada", "country": "GB", "purpose": "gift", "covered_from": "2025-01-01T00:00:00Z", "covered_to": "2026-01-01T00:00:00Z"}
    story.post("/v1/purchases", {"instrument": story.instrument, "maximum": "10", "lines": [{**line, "kg": 3}, {**line, "kg": 4}]}, key="trading")
    story.post(f"/v1/pools/{pool}/redeem", {"shares": 1000, "minimum_kg": 1}, key="trader")
    terms = {"payer_org_id": globex, "payee_org_id": acme, "expires_at": soon(HOUR), "currency": "EUR", "amount": "9", "batch": story.batch}
    settled = story.post("/v1/escrows", {**terms, "kg": 30}, key="trading")["id"]
    story.post(f"/v1/escrows/{settled}/deliver", {"batch": story.batch, "kg": 30}, key="trader")
    open_ = story.post("/v1/escrows", {**terms, "kg": 40}, key="trading")["id"]
    story.post(f"/v1/escrows/{open_}/deliver", {"batch": story.batch, "kg": 10}, key="trader")
    contract = story.post("/v1/offtakes", {"seller_org_id": acme, "buyer_org_id": globex, "instrument": story.instrument, "currency": "EUR", "make_good_days": 5,
                                           "penalty_ppm": 0, "expires_at": soon(HOUR), "deliveries": [{"due": soon(24 * HOUR), "kg": 60, "price": "90"}]}, key="trader")["id"]
    story.post(f"/v1/offtakes/{contract}/accept", key="trading")
    story.post(f"/v1/offtakes/{contract}/deliver", {"batch": story.batch, "kg": 25}, key="trader")
    wait_until(lambda: get(story, f"/v1/auctions/{auction}")["phase"] == "reveals", "bids are revealed")
    story.post(f"/v1/auctions/{auction}/bids/{numbers[0]}/reveal", bids[0]["reveal"], key="trading")
    wait_until(lambda: get(story, f"/v1/auctions/{auction}")["phase"] == "over", "the auction is over")


def operate(story):
    """What the registry does: admissions, transfers, retirement, cancellation, holds, disputes, a reversal, an import that goes back in part."""
    acme, globex = story.orgs["acme"], story.orgs["globex"]
    story.post("/v1/transfers", {"to_org_id": globex, "batch": story.batch, "kg": 100}, key="trader")
    story.post("/v1/retirements", {"batch": story.batch, "kg": 10, "beneficiary": "Ada", "country": "GB", "purpose": "voluntary",
                                   "covered_from": "2025-01-01T00:00:00Z", "covered_to": "2026-01-01T00:00:00Z"}, key="buyer")
    story.post("/v1/cancellations", {"batch": story.batch, "kg": 5, "reason": "voluntary", "explanation": "given up"}, key="buyer")
    numbers = {"org_id": globex, "origin": "VERRA", "series": "VCS-1", "unit_kg": 1000, "methodology": "ACM0002", "country": "IN", "kind": "reduction",
               "durability": "none", "vintage": 2024, "evidence_hash": "cd" * 32, "numbers": [{"first": 1, "count": 4}]}
    imported = story.post("/v1/imports", numbers, key="issuer")["number"]
    story.post("/v1/cancellations", {"batch": imported, "kg": 2000, "reason": "conversion", "destination": "VERRA", "explanation": "back"}, key="buyer")
    story.post("/v1/imports", {**numbers, "numbers": [{"first": 1, "count": 1}]}, key="issuer")
    dispute = story.post("/v1/disputes", {"ranges": [{"batch": imported, "start": 2000, "length": 7}], "holder_id": globex, "reason": "stolen"}, key="compliance")
    story.post(f"/v1/disputes/{dispute['id']}/decision", {"upheld": False, "reason": "it was not"}, key="judge")
    story.post("/v1/admissions", {"methodology_hash": get(story, "/v1/methodologies/DAC1/1")["hash"], "valid_from": "2026-01-01T00:00:00Z",
                                  "reason": "reviewed"}, key="compliance")
    story.post("/v1/registrations", {"project_id": story.project_id, "org_id": acme, "state": "registered", "crediting_from": "2026-01-01T00:00:00Z",
                                     "crediting_to": "2031-01-01T00:00:00Z", "reason": "validated"}, key="compliance")
    story.post(f"/v1/batches/{imported}/hold", {"reason": "an auditor asks"}, key="compliance")
    story.post(f"/v1/batches/{story.batch}/reverse", {"kg": 10, "reason": "leak"}, key="compliance")
    story.post(f"/v1/accounts/{acme}/hold", {"reason": "a court asks"}, key="compliance")


def dump(path):
    """Every table of the file, but for when it was made: its definition, and its rows."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('store_migrations') AND name NOT LIKE 'sqlite_%' ORDER BY name")]
        return {table: [file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()] +
                sorted(file.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr) for table in tables}


def rows_of(path, table):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        return file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def is_up_to(status):
    return status["views_position"] == status["journal_position"]


@pytest.mark.skipif(STORE != "sqlite", reason="a file of views is SQLite's")
def test_views_made_anew_are_byte_for_byte_what_they_were():
    with issued_world() as story:
        story.organisation("house")
        story.organisation("globex", trading=["trader"], running=["org-admin"])
        story.organisation("registry", judge=["compliance"])
        story.daemon.ctl("clock", "confirm", "--socket", story.daemon.data / "admin.sock")  # or no auction ends where the kernel has no NTP
        story.batch = story.issued["number"]
        offer(story, pay_and_trade(story))
        operate(story)
        views, socket = story.daemon.data / "views.db", story.daemon.data / "admin.sock"
        story.daemon.ctl("checkpoint", "--socket", socket)
        assert story.daemon.stop() == 0
        before = dump(views)
        missing = sorted(table for table, rows in before.items() if len(rows) < 2 and not table.startswith("log_"))
        assert not missing, f"the load leaves these views empty: {missing}"
        (story.daemon.data / "views.rebuild").touch()
        story.daemon.start()
        wait_until(lambda: is_up_to(story.daemon.ctl("status", "--socket", socket)), "the journal's views are made anew")
        wait_until(lambda: rows_of(views, "audit_records") >= len(before["audit_records"]) - 1, "the audit logs' too")
        story.daemon.ctl("checkpoint", "--socket", socket)
        assert story.daemon.stop() == 0
        after = dump(views)
        assert sorted(after) == sorted(before)
        differs = {table: [row for row in before[table] + after[table] if (row in before[table]) != (row in after[table])] for table in before}
        assert not any(differs.values()), {table: rows for table, rows in differs.items() if rows}
        story.daemon.start()
