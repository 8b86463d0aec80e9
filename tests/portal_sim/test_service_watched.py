"""What a running service tells to whoever watches it: each record of its log, and how it ended with each mail."""

import queue
from pathlib import Path

import pytest

from portal_sim.mail.postman import MailEnd
from portal_sim.options import CHEAP_COST, PortalOptions
from portal_sim.service import MEMORY, Service, ServiceOptions
from wire import portal_api as api
from wire.clock import system_utc_s
from wire.entropy import LiveEntropy
from wire.portal_api import AuditRecord

PATIENCE_S = 60


@pytest.mark.slow
@pytest.mark.realtime
def test_each_mail_and_each_record_is_told_as_it_comes(tmp_path: Path) -> None:
    mails: queue.Queue[MailEnd] = queue.Queue()
    records: queue.Queue[AuditRecord] = queue.Queue()
    options = ServiceOptions(
        data=tmp_path / "data",
        public_url="http://portal.example",
        database=MEMORY,
        portal=PortalOptions(cost=CHEAP_COST),
    )
    with Service(
        options,
        environment={},
        entropy=LiveEntropy(),
        utc_s=system_utc_s,
        on_record=records.put,
        on_mail=mails.put,
    ) as service:
        person = api.SignUp(email="tessa@workshop.example", password="correct horse tessa battery")
        service.portal.handle(person, system_utc_s())
        assert mails.get(timeout=PATIENCE_S) is MailEnd.SENT
        [mail] = service.portal.handle(api.ReadMail(email=person.email), system_utc_s())
        service.portal.handle(api.ConfirmEmail(link_code=mail.link_code), system_utc_s())
        written = [record.action for record in service.portal.audit_log()]
        assert written == ["sign-up"]
        assert [records.get(timeout=PATIENCE_S).action for _ in written] == written
    assert mails.empty()
