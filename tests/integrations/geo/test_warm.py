"""Warming up loads what the first question would load."""

from integrations.geo import us
from integrations.geo.offline import OfflineGeocoder


def test_the_tables_of_the_united_states_are_loaded_by_the_warm_up() -> None:
    us._codes.cache_clear()
    OfflineGeocoder().warm()
    assert us._codes.cache_info().currsize == 1
    before = us._codes.cache_info().misses
    assert OfflineGeocoder().locate("US", postal="21201") is not None
    assert us._codes.cache_info().misses == before
