"""What tests of auctions and pools begin with: a daemon with a house, a market, kilograms that a seller holds, and buyers with money."""
from harness import Daemon
from story import uuid7


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.daemon = Daemon(folder / "carbond").init("house").start()
        self.confirm_clock()
        self.keys, self.orgs = {"admin": self.daemon.key}, {"house": self.daemon.first["organisation_id"]}
        for slug in ("acme", "globex", "initech"):
            self.orgs[slug] = self.call("POST", "/v1/organisations", {"slug": slug, "name": slug, "country": "IS"}, 201)["id"]
            self.keys[slug] = self.key(slug, "trader")
        self.keys["issuer"] = self.key("house", "issuer")
        self.keys["compliance"] = self.key("house", "compliance")
        self.call("POST", "/v1/money/house", {"org_id": self.orgs["house"]}, 201)
        self.call("POST", "/v1/markets", {"kind": "reduction", "currency": "EUR", "tick": "0.01", "maker_ppm": 1000, "taker_ppm": 2000}, 201)
        self.call("POST", "/v1/markets/1/instruments", {"code": "ANY"}, 201)
        for slug in ("acme", "globex", "initech"):
            self.call("POST", "/v1/money/deposits", {"org_id": self.orgs[slug], "currency": "EUR", "amount": "10000", "reference": slug}, 201)
        self.batch = self.call("POST", "/v1/imports", {
            "org_id": self.orgs["acme"], "origin": "VERRA", "series": "VCS-1529", "unit_kg": 1000, "methodology": "ACM0002", "country": "IN",
            "kind": "reduction", "durability": "none", "vintage": 2024, "evidence_hash": "cd" * 32, "numbers": [{"first": 1, "count": 100}]},
            201, "issuer")["number"]

    def confirm_clock(self):
        self.daemon.ctl("clock", "confirm", "--socket", self.daemon.data / "admin.sock")  # or no time passes where the kernel has no NTP

    def key(self, slug, *roles):
        return self.call("POST", "/v1/keys", {"label": roles[0], "org_id": self.orgs[slug], "roles": list(roles)}, 201)["key"]

    def call(self, verb, path, body=None, status=200, who="admin"):
        headers = {"Idempotency-Key": uuid7()} if verb == "POST" else {}
        got, answer, _ = self.daemon.request(verb, path, body, headers, key=self.keys[who])
        assert got == status, (path, got, answer)
        return answer

    def refused(self, path, body, who, slug, status=409):
        answer = self.call("POST", path, body, status, who)
        assert answer["type"] == f"/problems/{slug}", answer

    def get(self, path, who="admin"):
        return self.daemon.get(path, key=self.keys[who])

    def held_kg(self, slug):
        return sum(row["held_kg"] for row in self.get(f"/v1/holdings?org_id={self.orgs[slug]}")["items"])

    def money(self, slug):
        items = self.get(f"/v1/money/balances?org_id={self.orgs[slug]}")["items"]
        return next((item["amounts"] for item in items if item["currency"] == "EUR"), {})
