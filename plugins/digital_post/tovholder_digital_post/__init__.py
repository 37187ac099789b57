"""Digital Post and print: MeMo 1.2 over SF1601, receipts by SF1461."""

from collections.abc import Sequence

from hub import Channel, hookimpl
from tovholder_digital_post.channel import DigitalPost
from tovholder_digital_post.settings import DigitalPostSettings

__all__ = ["DigitalPost", "DigitalPostSettings", "register_channels", "settings_model"]


@hookimpl
def settings_model() -> type[DigitalPostSettings]:
    return DigitalPostSettings


@hookimpl
def register_channels(settings: DigitalPostSettings) -> Sequence[Channel]:
    return [DigitalPost(settings)]
