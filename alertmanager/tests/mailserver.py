"""A mail server that takes nothing before STARTTLS and a login."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
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
    def running(self, authority: trustme.CA) -> Iterator["MailServer"]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(LOOPBACK).configure_cert(tls)
        controller = Controller(
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
            controller.stop()

    def about(self, place: str) -> list[EmailMessage]:
        """Mails about a machine, or a cluster."""
        return [mail for mail in self.mails if mail["Subject"].endswith(f"on {place}")]


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
