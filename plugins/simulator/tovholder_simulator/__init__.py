"""A channel that brings no letter to anybody, for trying out the hub and what people do with a letter that fails."""

from collections.abc import Sequence

from hub import Channel, hookimpl
from tovholder_simulator.channel import Outcome, Simulator, SimulatorSettings

__all__ = ["Outcome", "Simulator", "SimulatorSettings", "register_channels", "settings_model"]


@hookimpl
def settings_model() -> type[SimulatorSettings]:
    return SimulatorSettings


@hookimpl
def register_channels(settings: SimulatorSettings) -> Sequence[Channel]:
    return [Simulator(settings)]
