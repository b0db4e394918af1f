"""Concurrent histories, as many as fit their minutes (decision 30); `./dev campaign histories` runs 10,000."""
import histories


def test_concurrent_clients_see_one_order_of_commands(capsys):
    """Decisions 11 and 12."""
    with capsys.disabled():
        print()
        histories.run(1000, 30)
