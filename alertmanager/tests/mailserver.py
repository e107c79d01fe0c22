"""A mail server that takes nothing before STARTTLS and a login."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from scripts.stack.processes import LOOPBACK, free_port

PASSWORD = "correct horse"  # noqa: S105 - of the mail server below


class MailServer:
    """`mails` are those that it took, in order; the next `failing` recipients are put off."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.failing = 0
        self.port = free_port()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name and arguments
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],  # noqa: ARG002
    ) -> str:
        if self.failing:
            self.failing -= 1
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's name and arguments
        mail = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
        self.mails.append(mail)  # type: ignore[arg-type]
        return "250 OK"

    @contextmanager
    def running(self, authority: trustme.CA, until: datetime | None = None) -> Iterator["MailServer"]:
        """With a certificate that is good until then, or for long."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(LOOPBACK, not_after=until).configure_cert(tls)
        controller = _Controller(
            self,
            LOOPBACK,
            self.port,
            authenticator=_authenticate,
            auth_required=True,
            auth_exclude_mechanism=["LOGIN"],  # prompts otherwise than Alertmanager expects
            tls_context=tls,
            require_starttls=True,
        )
        controller.start()
        try:
            yield self
        finally:
            controller.hang_up()
            controller.stop()

    def about(self, place: str) -> list[EmailMessage]:
        """Mails about a machine, or a cluster."""
        return [mail for mail in self.mails if mail["Subject"].endswith(f"on {place}")]


class _Controller(Controller):
    """Leaves no connection open that was under way when it stopped."""

    def factory(self) -> SMTP:
        session: SMTP = super().factory()
        self._sessions.append(session)
        return session

    def start(self) -> None:
        self._sessions: list[SMTP] = []
        super().start()

    def hang_up(self) -> None:
        async def abort() -> None:
            for session in self._sessions:
                for transport in (session.transport, session._original_transport):
                    if transport is not None:
                        transport.abort()
            await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(abort(), self.loop).result(5)


def _authenticate(*arguments: object) -> AuthResult:
    login = arguments[-1]
    assert isinstance(login, LoginPassword)
    return AuthResult(success=login.password == PASSWORD.encode())


def text_of(mail: EmailMessage) -> str:
    """The part for those who read no HTML."""
    return str(mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]


def html_of(mail: EmailMessage) -> str:
    """The other part."""
    return str(mail.get_body(("html",)).get_content())  # type: ignore[union-attr]
