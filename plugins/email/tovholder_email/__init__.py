"""E-mail by SMTP. A Mailer and no Channel: no letter goes this way."""

from collections.abc import Sequence

from hub import Mailer, hookimpl
from tovholder_email.mailer import Email
from tovholder_email.settings import EmailSettings

__all__ = ["Email", "EmailSettings", "register_mailers", "settings_model"]


@hookimpl
def settings_model() -> type[EmailSettings]:
    return EmailSettings


@hookimpl
def register_mailers(settings: EmailSettings) -> Sequence[Mailer]:
    return [Email(settings)]
