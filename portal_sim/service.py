"""The portal as a service, without its HTTP door: data, key, store, mail, media, housekeeping, begun and ended in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from portal_sim.audit_chain import AuditChain
from portal_sim.data_folder import DataFolder
from portal_sim.housekeeping import Housekeeping
from portal_sim.key_files import load_keys, save_keys
from portal_sim.keys import make_keys
from portal_sim.mail.inbox import SmtpInbox
from portal_sim.mail.letter import LetterHead
from portal_sim.mail.mail_server import read_mail_server
from portal_sim.mail.outbox import StoreOutbox
from portal_sim.mail.postman import MailEnd, Postman
from portal_sim.media.darkroom import Darkroom
from portal_sim.media.keeping import MediaFolder, Retention
from portal_sim.media.reception import Reception
from portal_sim.memory_store import MemoryStore
from portal_sim.options import PortalOptions
from portal_sim.portal import Portal
from portal_sim.sealing import FILE as KEY_FILE
from portal_sim.sealing import VARIABLE, Sealing, portal_key
from portal_sim.sql.engine import file_of, is_here
from portal_sim.sql.store import CHAIN_PURPOSE, SqlStore
from portal_sim.store import Reading, Store
from wire.entropy import Entropy, LiveEntropy
from wire.errors import ConfigError
from wire.portal_api import AuditRecord
from wire.world import World

DATABASE_FILE = "portal.sqlite"
MEMORY = "memory:"
"""The database that ends with the service."""
POSTMAN_PATIENCE_S = 5.0
"""How long the end waits for a mail in flight; what is not delivered stays in the outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """Where a service keeps its data, how it sends mail, and its portal's settings.

    `database`: a URL, `memory:`, or "" for a file in `data`. `smtp`: a mail server's URL, or None for an inbox of its own.
    `public_url`: where the links in mails lead.
    """

    data: Path
    public_url: str
    database: str = field(default="", repr=False)
    smtp: str | None = field(default=None, repr=False)
    portal: PortalOptions = field(default_factory=PortalOptions)
    retention: Retention = field(default_factory=Retention)

    @property
    def store_is_near(self) -> bool:
        """Whether a look into the store takes no network: to hand it to a thread would take longer than the look."""
        return self.database == MEMORY or is_here(self.database_url)

    @property
    def database_url(self) -> str:
        """The database's URL."""
        return self.database or f"sqlite:///{(self.data / DATABASE_FILE).absolute()}"


def database_url(data: Path, database: str) -> str:
    """Return the URL of a database that is there: the one named, or the file in a data folder. Raises `ConfigError`."""
    url = ServiceOptions(data=data, public_url="", database=database).database_url
    file = file_of(url)
    if file is not None and not file.exists():  # SQLite would make it
        raise ConfigError("there is no portal's database here: name it with --data or --database", path=str(file))
    return url


def open_store(url: str, sealing: Sealing) -> tuple[Store, AuditChain, Callable[[], None]]:
    """Return a store, its audit log's chain, and what gives it back. Raises `ConfigError` or `CarrierFault` in one sentence."""
    if url == MEMORY:
        chain = AuditChain(sealing.derived(CHAIN_PURPOSE))
        return MemoryStore(chain), chain, lambda: None
    store = SqlStore.at(url, sealing)
    return store, store.chain, store.close


class Service:
    """Everything behind the door. `with Service(...)` runs it; raises `ConfigError` or `CarrierFault` where it cannot begin."""

    def __init__(
        self,
        options: ServiceOptions,
        *,
        environment: Mapping[str, str],
        entropy: Entropy,
        utc_s: Callable[[], int],
        on_record: Callable[[AuditRecord], None] = lambda _: None,
        on_mail: Callable[[MailEnd], object] = lambda _: None,
    ) -> None:
        self.options = options
        self._closing = closing = ExitStack()
        try:
            self.data = closing.enter_context(DataFolder(options.data)).path
            sealing = Sealing(portal_key(self.data, environment, entropy), entropy)
            self.store, self.chain, give_back = open_store(options.database_url, sealing)
            closing.callback(give_back)
            self.inbox = None if options.smtp else closing.enter_context(SmtpInbox(self.data / "mail"))
            keys = load_keys(self.data)
            if keys is None:
                save_keys(self.data, keys := make_keys(entropy, utc_s()))
            self.portal = Portal(
                entropy=entropy,
                keys=keys,
                review_rng=World(int.from_bytes(entropy.token_bytes(8), "big")).rng("reviews"),
                options=options.portal,
                store=self.store,
                inbox=self.inbox or NoInbox(),
            )
            self.mail_server = self.inbox.server if self.inbox else read_mail_server(options.smtp or "")
            self.postman = Postman(
                outbox=StoreOutbox(self.store),
                server=self.mail_server,
                head=LetterHead(public_url=options.public_url),
                now_s=utc_s,
                on_end=on_mail,
            )
            self.media = MediaFolder(self.data / "media", sealing, entropy, options.retention)
            self.reception = Reception(closing.enter_context(Darkroom()), self.media)
            self._housekeeping = Housekeeping(self.portal, self.store, self.media, utc_s, on_record)
        except BaseException:
            closing.close()
            raise

    def __enter__(self) -> Self:
        """Begin what runs beside the door."""
        self.postman.start()
        self._closing.callback(lambda: self.postman.close(POSTMAN_PATIENCE_S))
        self._housekeeping.start()
        self._closing.callback(self._housekeeping.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it: housekeeping, postman, media, inbox, store, and the folder last."""
        self._closing.close()

    def require_health(self) -> None:
        """Raise `PortalError` (unavailable) where the store does not answer."""
        with self.store.reading() as reading:
            reading.audit_head()


class NoInbox:
    """Mail goes to people's own mail servers: nobody reads it here."""

    def read(self, email: str) -> tuple[()]:  # noqa: ARG002
        """Return nothing."""
        return ()


@contextmanager
def opened_log(data: Path, database: str = "") -> Iterator[tuple[Reading, AuditChain]]:
    """Open a portal's store to read its log, running or not. Raises `ConfigError` where there is no key or no database."""
    if not (data / KEY_FILE).exists() and VARIABLE not in os.environ:
        raise ConfigError(
            f"there is no portal's key here: name its folder with --data, or set {VARIABLE}", path=str(data)
        )
    url = database_url(data, database)
    entropy = LiveEntropy()
    sealing = Sealing(portal_key(data, os.environ, entropy), entropy)
    store, chain, give_back = open_store(url, sealing)
    try:
        with store.reading() as reading:
            yield reading, chain
    finally:
        give_back()
