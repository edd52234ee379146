"""A browser's User-Agent in two words: enough to know one's own devices again, too little to tell people apart."""

from portal.web.i18n import _, tr

# The first that is found counts: most browsers also claim to be others.
BROWSERS = (
    ("edg", "edge", "Edge"),
    ("opr/", "opera", "Opera"),
    ("samsungbrowser", "samsung", "Samsung Internet"),
    ("firefox", "firefox", "Firefox"),
    ("fxios", "firefox", "Firefox"),
    ("crios", "chrome", "Chrome"),
    ("chrome", "chrome", "Chrome"),
    ("safari", "safari", "Safari"),
)
SYSTEMS = (
    ("iphone", "iphone", "iPhone"),
    ("ipad", "ipad", "iPad"),
    ("android", "android", "Android"),
    ("windows", "windows", "Windows"),
    ("macintosh", "mac", "Mac"),
    ("cros", "chromeos", "ChromeOS"),
    ("linux", "linux", "Linux"),
)
NAMES = {code: name for _mark, code, name in (*BROWSERS, *SYSTEMS)}
UNKNOWN = "-"
LONGEST = 400


def device(user_agent: str | None) -> str:
    """'firefox windows'; '-' stands for what is not known."""
    low = (user_agent or "")[:LONGEST].lower()

    def first(table: tuple[tuple[str, str, str], ...]) -> str:
        return next((code for mark, code, _name in table if mark in low), UNKNOWN)

    return f"{first(BROWSERS)} {first(SYSTEMS)}"


def device_words(code: str | None) -> str:
    """'Firefox on Windows', in the reader's language."""
    browser, _space, system = (code or "").partition(" ")
    named = {"browser": NAMES.get(browser, ""), "system": NAMES.get(system, "")}
    if named["browser"] and named["system"]:
        return tr(_("${browser} on ${system}", mapping=named))
    return named["browser"] or named["system"] or tr(_("Unknown device"))
