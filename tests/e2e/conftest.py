"""What the tests were shown on, in their output."""
from harness import STORE, mongo_server


def pytest_terminal_summary(terminalreporter):
    if STORE == "mongodb":
        terminalreporter.write_line(f"the store was MongoDB: shown on {mongo_server().name}")
