"""Addresses of databases and stores: what is allowed in them, and nothing secret in messages."""

import re

USER_VARIABLE, PASSWORD_VARIABLE = "MINDMLM_SQL_USER", "MINDMLM_SQL_PASSWORD"
_SECRET_NAME = re.compile(r"passw|pwd|secret|token|access_?key|credential", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(://[^/\s:@]*:)[^\s]*@")
_SECRET_OPTION = re.compile(
    r"([?&][^=&\s]*(?:passw|pwd|secret|token|access_?key|credential)[^=&\s]*=)[^&\s]*",
    re.IGNORECASE,
)


def url_fault(text: str) -> str:
    """Return what is wrong with a database URL, "" when nothing is; never a part of the URL."""
    if not re.match(r"[A-Za-z][\w.+-]*://", text):
        return "is no database URL; expected, for example, postgresql://host/database"
    names = [part.partition("=")[0] for part in text.partition("?")[2].split("&")]
    if _PASSWORD_IN_URL.search(text) or any(_SECRET_NAME.search(name) for name in names):
        return (
            f"holds a password, which would end up in files and logs; give it in {USER_VARIABLE} "
            f"and {PASSWORD_VARIABLE}, or in a file of mode 0600 (credentials_file)"
        )
    return ""


def without_passwords(text: str) -> str:
    """Return a text with *** for each password in the addresses in it."""
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1***@", text))
