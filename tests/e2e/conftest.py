"""What the tests were shown on, in their output."""
from harness import STORE, mongo_server

# what is between MongoDB and SQLite needs a MongoDB server: the suite "stores" has one
collect_ignore_glob = [] if STORE == "mongodb" else ["test_mongo_*.py"]


def pytest_terminal_summary(terminalreporter):
    if STORE == "mongodb":
        terminalreporter.write_line(f"the store was MongoDB: shown on {mongo_server().name}")
