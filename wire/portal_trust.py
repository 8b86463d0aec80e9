"""Whom the portal's clients trust over HTTPS: the machine's authorities, or the bench CA that the environment names."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from wire.errors import ConfigError

PORTAL_CA = "SGW_BENCH_PORTAL_CA"
"""The environment's variable with the PEM file of the CA that signed the portal's certificate."""


def trust(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return a client's side that trusts the CA named in `environment` and no other, or None where none is named.

    Names are checked, TLS is 1.2 or newer. Raises `ConfigError` for a file that is not there or holds no certificate.
    """
    path = environment.get(PORTAL_CA)
    if not path:
        return None
    try:
        context = ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ConfigError(
            "this file holds no certificate in PEM form: name the tls-ca.pem of the portal's data folder",
            path=path,
            key=PORTAL_CA,
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is no path"
        raise ConfigError(
            f"the portal's CA cannot be read ({why}): name the tls-ca.pem of the portal's data folder, or unset the variable",
            path=path,
            key=PORTAL_CA,
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
