"""The conformance kit: what every adapter and every channel must keep, whoever wrote it. A plugin's tests inherit one
of these classes and say what only the author knows; docs/plugins.md shows how.

    class TestConformance(AdapterConformance):
        @pytest.fixture
        def source(self): return my_source                  # an ASGI application with some records
        @pytest.fixture
        def make_adapter(self, front):
            return lambda **settings: MyAdapter(MySettings(**{"url": front.url, "kinds": KINDS} | settings))
"""

from hub.testing import (
    adapter_hostile,
    adapter_pages,
    adapter_privacy,
    adapter_records,
    adapter_requests,
    adapter_trouble,
    channel_privacy,
    channel_sending,
    channel_statuses,
)


class AdapterConformance(
    adapter_records.Records,
    adapter_pages.Pages,
    adapter_requests.Requests,
    adapter_trouble.InTrouble,
    adapter_hostile.Hostile,
    adapter_privacy.Privacy,
):
    """For an adapter. Supply `make_adapter`, `kinds`, `spoil`, `remove`, `change`, and `source` or `folder`; see
    AdapterSetup for all there is to say."""


class ChannelConformance(channel_sending.Sending, channel_statuses.Statuses, channel_privacy.Privacy):
    """For a channel. Supply `make_channel`, `other_side`, `recipient`, `letters_there`, `refused_letter`, `pass_time`,
    `new_status` and `spoil`; see ChannelSetup for all there is to say."""
