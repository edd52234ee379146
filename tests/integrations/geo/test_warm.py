"""Warming up loads what the first question would load."""

import subprocess
import sys

from integrations.geo import us
from integrations.geo.offline import OfflineGeocoder


def test_the_table_of_the_united_states_is_opened_by_the_warm_up() -> None:
    script = (
        "import sys; from integrations.geo import OfflineGeocoder; places = OfflineGeocoder();"
        " before = 'zipcodes' in sys.modules; places.warm(); print(before, 'zipcodes' in sys.modules);"
        " assert places.locate('US', postal='21201') is not None"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_nobody_asked_for_is_not_kept() -> None:
    us._section.cache_clear()
    us._of_state.cache_clear()
    assert OfflineGeocoder().locate("US", postal="21201") is not None
    assert us._section.cache_info().currsize == 1 and us._of_state.cache_info().currsize == 0
