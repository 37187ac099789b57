"""What a plugin's author tests with, shipped with the product: the conformance kit and the server it puts in front of
a source. Imported by tests only: it needs pytest, which the hub itself does not."""

import pytest

# Before they are imported, so that a failed assert in the kit shows its values.
pytest.register_assert_rewrite(
    "hub.testing.adapter_setup",
    "hub.testing.adapter_records",
    "hub.testing.adapter_pages",
    "hub.testing.adapter_requests",
    "hub.testing.adapter_trouble",
    "hub.testing.adapter_hostile",
    "hub.testing.adapter_privacy",
    "hub.testing.channel_setup",
    "hub.testing.channel_sending",
    "hub.testing.channel_statuses",
    "hub.testing.channel_privacy",
)

from hub.testing.conformance import AdapterConformance, ChannelConformance  # noqa: E402 - see above
from hub.testing.front import Front, Request, Trouble  # noqa: E402 - see above
from hub.testing.mirror import Mirror  # noqa: E402 - see above

__all__ = ["AdapterConformance", "ChannelConformance", "Front", "Mirror", "Request", "Trouble"]
