"""What Kubernetes calls a name or a key, besides `names`; and how to show one in a message.

The grammars are those of `k8s.io/apimachinery/pkg/util/validation`, so that what
passes here is not refused by the API server later.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from zenflow_core.limits import LABEL_CHARACTERS, NAME_CHARACTERS

_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_LABEL: Final = re.compile(_LABEL)
_PARAMETER: Final = re.compile(_LABEL.replace("a-z", "A-Za-z") + rf"(?:\.{_LABEL.replace('a-z', 'A-Za-z')})*")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_SHOWN: Final = 80


def is_dns_label(text: str) -> bool:
    """A DNS-1123 label: the name of a container or volume, at most 63 characters."""
    return len(text) <= LABEL_CHARACTERS and _DNS_LABEL.fullmatch(text) is not None


def is_parameter_name(text: str) -> bool:
    """A DNS-1123 subdomain in which capitals are allowed, too ("imageTag")."""
    return len(text) <= NAME_CHARACTERS and _PARAMETER.fullmatch(text) is not None


def is_data_key(text: str) -> bool:
    """A key of a ConfigMap or Secret."""
    return len(text) <= NAME_CHARACTERS and _KEY.fullmatch(text) is not None and text not in (".", "..")


def subdomain_fault(text: str) -> str:
    """What about `text` is not a DNS-1123 subdomain, in words, to stand behind "is"."""
    if not text:
        return "empty"
    if len(text) > NAME_CHARACTERS:
        return f"{len(text)} characters long, at most {NAME_CHARACTERS} are allowed"
    if text != text.strip():
        return "not a name: it begins or ends with a blank"
    return "not a DNS-1123 name (small letters, digits, '-' and '.', with a letter or digit at both ends)"


def dns_name_from(text: str) -> str:
    """A legal name that looks like `text`, for a fix; empty if nothing is left of it."""
    small = re.sub(r"[^a-z0-9.-]+", "-", text.strip().lower())[:NAME_CHARACTERS]
    return ".".join(part.strip("-") for part in small.split(".") if part.strip("-"))


def shown(text: str) -> str:
    """`text` in quotes for a message, cut if it is long."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def some_of(names: Collection[str], at_most: int = 5) -> str:
    """The first few names and how many more there are: "a, b, c and 7 more"."""
    listed = list(names)
    if len(listed) <= at_most:
        return ", ".join(listed)
    return f"{', '.join(listed[:at_most])} and {len(listed) - at_most} more"
