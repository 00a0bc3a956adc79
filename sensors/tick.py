"""Makes the daemon evaluate a sensor at its next look (a few seconds) instead of at the end of its interval."""

import dagster as dg
from dagster._core.scheduler.instigation import SensorInstigatorData


def trigger_tick(instance: dg.DagsterInstance, sensor: str) -> bool:
    """Forget when the sensor last ticked. False where no daemon has evaluated it yet: then it is due anyway."""
    triggered = False
    for state in instance.all_instigator_state():
        if state.instigator_name == sensor and isinstance(state.instigator_data, SensorInstigatorData):
            data = state.instigator_data._replace(last_tick_timestamp=None, last_tick_start_timestamp=None)
            instance.update_instigator_state(state.with_data(data))
            triggered = True
    return triggered
