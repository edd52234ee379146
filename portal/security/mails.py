"""What the mails of sign-in say: in the reader's language, times in the reader's zone, as text and as plain HTML."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup
from sqlalchemy.engine import Row

from portal.gateways import Message
from portal.settings import Settings
from portal.web.formatting import Formatter
from portal.web.i18n import _, localizer_of, spoken


@dataclass(frozen=True, slots=True)
class Letter:
    """Marked strings: subject, what is to be said before the link (if there is one) and after it."""

    subject: Any
    body: Any
    end: Any


LETTERS = {
    "invite": Letter(
        _("${vendor} invites you to its partner network"),
        _("You are invited to work for ${company}. Choose a password by ${until}:"),
        _("If you did not expect this, do nothing: without a password nobody can sign in as you."),
    ),
    "added": Letter(
        _("You can now work for ${company} too"),
        _("${vendor} has added you to ${company}. Sign in as always and choose the company:"),
        _("If you did not expect this, tell your company's administrator."),
    ),
    "join": Letter(
        _("${company} invites you"),
        _(
            "${company} would like you to work for it too, with the account you have. To accept, open this page by"
            " ${until}:"
        ),
        _("If you do nothing, nothing changes, and ${company} does not learn that you have an account."),
    ),
    "reset": Letter(
        _("Set a new password"),
        _("Somebody, probably you, asked for a new password on ${at}. Choose one by ${until}:"),
        _("If it was not you, do nothing: your password stays as it is."),
    ),
    "address": Letter(
        _("Confirm your new address"),
        _("You want to sign in with ${address} from now on. Confirm by ${until}:"),
        _("If it was not you, do nothing: nothing changes."),
    ),
    "address_taken": Letter(
        _("Your address was entered for another account"),
        _(
            "Somebody wanted to use ${address} for an account on ${at}. It has one already, so nothing was changed."
        ),
        _("If it was you: sign in with ${address}, or ask for a new password there."),
    ),
    "keep": Letter(
        _("Your address is about to change"),
        _(
            "On ${at} somebody who is signed in as you asked to use another address than ${address} from now on. If it"
            " was not you, stop it here, until ${until}:"
        ),
        _("Stopping ends every session and asks you to set a new password. If it was you, do nothing."),
    ),
    "password": Letter(
        _("Your password was changed"),
        _("The password of your account was changed on ${at}. Every other session has ended."),
        _(
            "If it was not you, ask for a new password on the sign-in page and tell your company's administrator."
        ),
    ),
    "recovery_used": Letter(
        _("A recovery code was used"),
        _("On ${at} a recovery code was used to sign in to your account. Recovery codes left: ${left}."),
        _("If it was not you, set a new password at once and tell your company's administrator."),
    ),
    "factor_added": Letter(
        _("Your second factor is on"),
        _("Since ${at} signing in asks for a code of your authenticator app as well."),
        _("If it was not you, tell your company's administrator at once."),
    ),
    "factor_removed": Letter(
        _("Your second factor is off"),
        _(
            "The second factor of your account was turned off on ${at}. Your password alone is enough to sign in."
        ),
        _("If it was not you, set a new password and tell your company's administrator."),
    ),
    "factor_reset": Letter(
        _("Your second factor was reset"),
        _(
            "An administrator reset the second factor of your account on ${at}. Every session has ended; set it up"
            " again when you sign in."
        ),
        _("If you did not ask for this, tell your company's administrator at once."),
    ),
}


def compose(
    settings: Settings, who: Row[Any], purpose: str, item_id: int, *,
    to: str = "", url: str = "", until: datetime | None = None, at: datetime | None = None,
) -> Message:  # fmt: skip
    """The mail of `purpose` to `who`; `until` and `at` are moments of business time."""
    letter = LETTERS[purpose]
    language = spoken(who.language)
    fmt = Formatter(who.now, who.time_zone, language)
    values = {
        "name": who.name,
        "company": who.company or "",
        "vendor": who.vendor or "Interline",
        "address": to or who.email,
        "until": fmt.full_text(until) if until else "",
        "at": fmt.full_text(at) if at else "",
        "left": str(who.codes_left),
    }

    def tr(marked: Any) -> str:
        return str(localizer_of(language).translate(_(marked, mapping=values)))

    lines = [tr(_("Hello ${name},")), tr(letter.body), url, tr(letter.end)]
    paragraphs = Markup("").join(
        Markup('<p><a href="{0}">{0}</a></p>').format(line)
        if line == url
        else Markup("<p>{}</p>").format(line)
        for line in lines
        if line
    )
    rich = Markup(
        '<!doctype html><html lang="{}"><body style="font:16px/24px system-ui,sans-serif;color:#1a2230">{}</body></html>'
    ).format(language, paragraphs)
    domain = settings.mail_from.rpartition("@")[2].rstrip(">") or "localhost"
    return Message(
        to=to or who.email,
        subject=tr(letter.subject),
        text="\n\n".join(line for line in lines if line) + "\n",
        html=str(rich),
        message_id=f"person.{item_id}@{domain}",
        zone=fmt.tz,
    )
