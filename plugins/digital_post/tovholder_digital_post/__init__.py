"""Digital Post and print: MeMo 1.1 and 1.2, by KOMBIT's platform (SF1601, receipts by SF1461) or directly."""

from collections.abc import Sequence

from hub import Channel, hookimpl
from tovholder_digital_post.channel import DigitalPost
from tovholder_digital_post.direct import DirectPost
from tovholder_digital_post.settings import DigitalPostSettings

__all__ = ["DigitalPost", "DigitalPostSettings", "DirectPost", "register_channels", "settings_model"]


@hookimpl
def settings_model() -> type[DigitalPostSettings]:
    return DigitalPostSettings


@hookimpl
def register_channels(settings: DigitalPostSettings) -> Sequence[Channel]:
    return [DirectPost(settings) if settings.transport == "direct" else DigitalPost(settings)]
