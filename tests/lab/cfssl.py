"""A CA outside the swarm: it signs the certificates of nodes that managers send it, in CFSSL's protocol (cfssl, doc/api)."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OIDS = {"O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME}
PEM = Encoding.PEM
DAYS = 1000
"""How long a certificate is valid. The swarm takes no CA that ends within a year."""
USES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


@dataclass
class Authority:
    """A key and its certificate, in files, and the serial numbers of the certificates of nodes that it signed."""

    folder: Path
    serials: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outside-ca")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate.write_bytes(self._signed(self._name, self._key.public_key(), [constraints]).public_bytes(PEM))
        self._write(self.key, self._key)

    @property
    def certificate(self) -> Path:
        """Its certificate in PEM."""
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        """Its key in PEM."""
        return self.folder / "ca.key"

    @contextmanager
    def serving(self, address: IPv4Address) -> Iterator[str]:
        """Answer managers within the context. Yields the URL."""
        own, authority = ec.generate_private_key(ec.SECP256R1()), self
        certificate, key = self.folder / "server.crt", self.folder / "server.key"
        at = x509.SubjectAlternativeName([x509.IPAddress(address)])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outside-ca-server")])
        certificate.write_bytes(self._signed(subject, own.public_key(), [at, USES]).public_bytes(PEM))
        self._write(key, own)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps({"success": True, "result": {"certificate": authority.of_node(asked)}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        server = ThreadingHTTPServer((str(address), 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://{address}:{server.server_port}/api/v1/cfssl/sign"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def of_node(self, asked: Mapping[str, Any]) -> str:
        """The certificate that a manager asks for, in PEM."""
        request = x509.load_pem_x509_csr(asked["certificate_request"].encode())
        subject = asked["subject"]
        names = [(OIDS[key], value) for one in subject["names"] for key, value in one.items() if key in OIDS]
        whole = [(NameOID.COMMON_NAME, subject["CN"]), *names]
        hosts = x509.SubjectAlternativeName([x509.DNSName(host) for host in asked["hosts"]])
        name = x509.Name([x509.NameAttribute(key, value) for key, value in whole])
        signed = self._signed(name, request.public_key(), [hosts, USES])
        self.serials.append(signed.serial_number)
        return signed.public_bytes(PEM).decode()

    def _signed(self, name: x509.Name, key: Any, extensions: list[x509.ExtensionType]) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=DAYS))
        )
        for one in extensions:
            made = made.add_extension(one, critical=isinstance(one, x509.BasicConstraints))
        return made.sign(self._key, hashes.SHA256())

    @staticmethod
    def _write(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
        file.write_bytes(key.private_bytes(PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
