"""The conformance kit: what every adapter and every channel must keep, whoever wrote it. A plugin's tests inherit one
of these classes; docs/plugins.md shows how."""

from hub.testing.adapters import AdapterConformance
from hub.testing.channels import ChannelConformance

__all__ = ["AdapterConformance", "ChannelConformance"]
