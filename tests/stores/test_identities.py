"""Identities that nobody typed in: what gives them is asked, believed, and asked again in time.

The services that give them are scripted here, after the providers' own documents, and so are the
storages: an S3 that computes the signature of what it gets (versitygw knows no session tokens), and
others that take everything, so that what arrives can be looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import trustme
from botocore.tokens import SSOTokenProvider
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from otlp2parquet.errors import ConfigError, StorageUnavailableError
from otlp2parquet.stores.clients import Access, open_store
from otlp2parquet.stores.location import Location
from tests.components.azurite import ACCOUNT, CONTAINER, Azurite, shared_access_signature
from tests.components.process import wait_until
from tests.components.s3 import BUCKET, KEY_ID, SECRET
from tests.support.answering import Answering, Question, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otlp2parquet.stores import Store
    from tests.stores.conftest import Servers

SECS = 5.0
WAIT_SECS = 30.0
ROLE = "arn:aws:iam::123456789012:role/telemetry"
HERE = ("AWS_", "AZURE_", "GOOGLE_", "GCE_", "IDENTITY_", "MSI_")
"""Beginnings of the variables by which identities are found."""


KEYS = (KEY_ID, SECRET, "a session")


def signed(question: Question) -> Reply:
    """As an S3 that takes what is signed by ``KEYS``, and nothing else (Signature Version 4)."""
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/us-east-1/s3/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)",
        question.fields["authorization"],
    )
    assert given is not None
    key_id, day, names, signature = given.groups()
    path, _, query = question.path.partition("?")
    lines = "".join(f"{name}:{question.fields[name].strip()}\n" for name in names.split(";"))
    request = "\n".join(
        (question.method, path, query, lines, names, question.fields["x-amz-content-sha256"])
    )
    scope = f"{day}/us-east-1/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{KEYS[1]}".encode()
    text = f"AWS4-HMAC-SHA256\n{question.fields['x-amz-date']}\n{scope}\n{digest}"
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    carried = (key_id, question.fields.get("x-amz-security-token"))
    is_right = key.hex() == signature and carried == (KEYS[0], KEYS[2])
    if is_right and "x-amz-security-token" in names.split(";"):
        return taken(question)
    return Reply("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403)


@pytest.fixture
def s3() -> Iterator[str]:
    """The endpoint of an S3 for those with the right keys."""
    with Answering(signed) as running:
        yield running.endpoint


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without an identity, at a home without a file, on a machine without a role."""
    for name in list(os.environ):
        if name.startswith(HERE):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """For a server whose authority is in ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def write(sink: BinaryIO) -> None:
    """An object's content."""
    sink.write(b"x")


def write_to(store: Store) -> None:
    """One more object, by one request."""
    store.create(f"identities/{uuid4().hex}", write)


def s3_store(endpoint: str, ca_file: Path | None = None) -> Store:
    """A bucket of which no key is said."""
    access = Access(timeout_secs=SECS, ca_file=ca_file)
    return open_store(Location("s3", BUCKET, "", endpoint, "us-east-1"), access)


def in_time(secs: float) -> str:
    """A moment as AWS writes it."""
    return (datetime.now(UTC) + timedelta(seconds=secs)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Role:
    """Gives keys in a row, the last for ever; each is good for ``lasts_secs`` seconds."""

    def __init__(self, *secrets: str, lasts_secs: float = 3600) -> None:
        self.secrets, self.lasts_secs = list(secrets) or [SECRET], lasts_secs
        self.given = 0

    def keys(self) -> dict[str, str]:
        """The next keys."""
        secret = self.secrets[min(self.given, len(self.secrets) - 1)]
        self.given += 1
        return {
            "AccessKeyId": KEY_ID,
            "SecretAccessKey": secret,
            "Token": KEYS[2],
            "Expiration": in_time(self.lasts_secs),
        }

    def instance(self, question: Question) -> Reply:
        """As the instance metadata service, version 2."""
        if (question.method, question.path) == ("PUT", "/latest/api/token"):
            return Reply("ticket")
        if question.fields.get("x-aws-ec2-metadata-token") != "ticket":
            return Reply(status=401)
        role = question.path.removeprefix("/latest/meta-data/iam/security-credentials/")
        if not role:
            return Reply("telemetry")
        assert role == "telemetry"
        about = {"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": in_time(0)}
        return Reply(json.dumps(about | self.keys()))

    def container(self, question: Question) -> Reply:
        """As the agent of a container's host."""
        if question.fields.get("authorization") != "the pod's token":
            return Reply(status=401)
        return Reply(json.dumps(self.keys()))

    def tokens(self, question: Question) -> Reply:
        """As the Security Token Service."""
        text = urlsplit(question.path).query or question.body.decode()
        asked = {name: values[0] for name, values in parse_qs(text).items()}
        action = asked["Action"]
        assert asked["RoleArn"] == ROLE
        if action == "AssumeRoleWithWebIdentity" and asked["WebIdentityToken"] != "the pod's token":
            return Reply("<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error>", 400)
        keys = self.keys()
        keys["SessionToken"] = keys.pop("Token")
        given = "".join(f"<{name}>{value}</{name}>" for name, value in keys.items())
        user = (
            f"<AssumedRoleUser><Arn>{ROLE}</Arn><AssumedRoleId>x</AssumedRoleId></AssumedRoleUser>"
        )
        return Reply(
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<Credentials>{given}</Credentials>{user}</{action}Result></{action}Response>",
            fields={"Content-Type": "text/xml"},
        )


def is_accepted(store: Store) -> bool:
    """Whether the storage takes the keys with which an object comes."""
    try:
        write_to(store)
    except StorageUnavailableError as error:
        if "the credentials are not accepted" not in str(error):
            raise
        return False
    return True


def renewed(store: Store, role: Role) -> None:
    """Keys that are about to expire are asked for anew, and the new ones are used."""
    role.secrets, role.lasts_secs = [SECRET, "not any more", SECRET], 60
    write_to(store)
    wait_until(lambda: not is_accepted(store), WAIT_SECS, lambda: "the keys were not renewed")
    wait_until(lambda: is_accepted(store), WAIT_SECS, lambda: "the keys were not renewed again")
    assert role.given >= 3


@pytest.mark.parametrize("lasting", [True, False])
def test_an_instances_role(bare: pytest.MonkeyPatch, s3: str, lasting: bool) -> None:  # noqa: FBT001 - a parameter
    """EC2: asked once while the keys are good, and again before they expire."""
    role = Role()
    with Answering(role.instance) as metadata:
        bare.setenv("AWS_METADATA_ENDPOINT", metadata.endpoint)
        store = s3_store(s3)
        if not lasting:
            renewed(store, role)
            return
        for _ in range(3):
            write_to(store)
        assert role.given == 1


@pytest.mark.parametrize("lasting", [True, False])
def test_a_pods_role(
    bare: pytest.MonkeyPatch,
    s3: str,
    tmp_path: Path,
    lasting: bool,  # noqa: FBT001 - a parameter
) -> None:
    """EKS Pod Identity: the agent wants the token that is in a file."""
    role = Role()
    (tmp_path / "token").write_text("the pod's token")
    with Answering(role.container) as agent:
        bare.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.endpoint}/v1/credentials")
        bare.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        store = s3_store(s3)
        if not lasting:
            renewed(store, role)
            return
        for _ in range(3):
            write_to(store)
        assert role.given == 1


def test_a_containers_role(bare: pytest.MonkeyPatch, s3: str) -> None:
    """ECS in its newer form: a full URL, and the token in a variable."""
    role = Role()
    with Answering(role.container) as agent:
        bare.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.endpoint}/v1/credentials")
        bare.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the pod's token")
        store = s3_store(s3)
        for _ in range(3):
            write_to(store)
        assert role.given == 1


def test_a_containers_role_without_botocore(bare: pytest.MonkeyPatch, s3: str) -> None:
    """The error says what is missing."""
    bare.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x")
    bare.setitem(__import__("sys").modules, "botocore.session", None)
    with pytest.raises(ConfigError, match=r"^AWS_CONTAINER_CREDENTIALS_FULL_URI cannot be used"):
        s3_store(s3)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_web_identity(
    bare: pytest.MonkeyPatch,
    s3: str,
    tmp_path: Path,
    tls: ssl.SSLContext,
    lasting: bool,  # noqa: FBT001 - a parameter
) -> None:
    """EKS service accounts: a token in a file is changed for keys, by TLS only."""
    role = Role()
    (tmp_path / "token").write_text("the pod's token")
    with Answering(role.tokens, tls) as service:
        bare.setenv("AWS_ENDPOINT_URL_STS", service.endpoint)
        bare.setenv("AWS_ROLE_ARN", ROLE)
        bare.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        store = s3_store(s3, tmp_path / "ca.pem")
        if not lasting:
            renewed(store, role)
            return
        for _ in range(3):
            write_to(store)
        assert role.given == 1
        (tmp_path / "token").write_text("of somebody else")
        with pytest.raises(StorageUnavailableError, match="the credentials are not accepted"):
            write_to(s3_store(s3, tmp_path / "ca.pem"))


def test_a_role_of_a_profile(bare: pytest.MonkeyPatch, s3: str, tmp_path: Path) -> None:
    """A profile that takes on a role with the keys of another one."""
    role = Role()
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        f"[profile work]\nrole_arn = {ROLE}\nsource_profile = me\nregion = us-east-1\n"
    )
    (folder / "credentials").write_text("[me]\naws_access_key_id = a\naws_secret_access_key = b\n")
    with Answering(role.tokens) as service:
        bare.setenv("AWS_ENDPOINT_URL_STS", service.endpoint)
        bare.setenv("AWS_PROFILE", "work")
        store = s3_store(s3)
        for _ in range(3):
            write_to(store)
        assert role.given == 1


def test_single_sign_on(bare: pytest.MonkeyPatch, s3: str, tmp_path: Path) -> None:
    """What ``aws sso login`` left is changed for keys; when it has expired, the error says so."""
    session = tmp_path / ".aws" / "sso" / "cache" / f"{hashlib.sha1(b'work').hexdigest()}.json"  # noqa: S324 - AWS's name
    session.parent.mkdir(parents=True)
    (tmp_path / ".aws" / "config").write_text(
        "[profile work]\nsso_session = work\nsso_account_id = 123456789012\n"
        "sso_role_name = telemetry\nregion = us-east-1\n"
        "[sso-session work]\nsso_region = us-east-1\nsso_start_url = https://work.example/start\n"
    )

    def portal(question: Question) -> Reply:
        assert question.fields["x-amz-sso_bearer_token"] == "signed on"  # noqa: S105 - made up
        keys = {
            "accessKeyId": KEY_ID,
            "secretAccessKey": SECRET,
            "sessionToken": KEYS[2],
            "expiration": int(datetime.now(UTC).timestamp() + 3600) * 1000,
        }
        return Reply(json.dumps({"roleCredentials": keys}))

    with Answering(portal) as service:
        # Botocore looks for its home when it is imported.
        bare.setattr(SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", str(session.parent))
        bare.setenv("AWS_ENDPOINT_URL_SSO", service.endpoint)
        bare.setenv("AWS_PROFILE", "work")
        for secs in (3600, -60):
            session.write_text(json.dumps({"accessToken": "signed on", "expiresAt": in_time(secs)}))
            if secs > 0:
                write_to(s3_store(s3))
            else:
                with pytest.raises(StorageUnavailableError, match="aws sso login"):
                    write_to(s3_store(s3))
        assert len(service.asked) == 1


def test_r2_by_account_id(bare: pytest.MonkeyPatch) -> None:
    """Without an endpoint, that of the account is asked, by TLS, with the bucket in the path."""
    bare.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    access = Access(key_id=KEY_ID, secret=SECRET, timeout_secs=SECS)
    store = open_store(Location("r2", BUCKET, account="0" * 32), access)
    with pytest.raises(StorageUnavailableError) as caught:
        write_to(store)
    assert f"https://{'0' * 32}.r2.cloudflarestorage.com/{BUCKET}/identities/" in str(caught.value)


def taken(_: Question) -> Reply:
    """As a storage that takes every object."""
    return Reply(
        status=201, fields={"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    )


@pytest.fixture
def storage() -> Iterator[Answering]:
    """A storage that takes every object, whoever comes."""
    with Answering(taken) as running:
        yield running


def azure_store(storage: Answering, secret: str = "") -> Store:
    """A container of an account, by the account's key if there is one."""
    location = Location("azure", "telemetry", "", f"{storage.endpoint}/account", account="account")
    return open_store(location, Access(secret=secret, timeout_secs=SECS))


def test_azure_by_a_shared_access_signature(bare: pytest.MonkeyPatch, storage: Answering) -> None:
    """It goes with the URL, and no other key with it."""
    bare.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=2024-11-04&sp=rwdl&sig=c2ln")
    write_to(azure_store(storage))
    (question,) = storage.asked
    assert parse_qs(urlsplit(question.path).query) == {
        "sv": ["2024-11-04"],
        "sp": ["rwdl"],
        "sig": ["c2ln"],
    }
    assert "authorization" not in question.fields


@pytest.fixture
def azurite(servers: Servers, request: pytest.FixtureRequest) -> str:
    """The endpoint of Azure's emulator; ask for it first, it is got below the real home."""
    if not request.config.getoption("--stores"):
        pytest.skip("make stores runs it: the emulator is slow to get")
    return servers.get("azurite", Azurite).endpoint


def test_azurite_by_a_shared_access_signature(azurite: str, bare: pytest.MonkeyPatch) -> None:
    """Microsoft's emulator takes it for writing, reading and listing.

    Removing is not tried: obstore does it by a batch of requests, which this emulator answers with
    500 when they come by a signature.
    """
    location = Location("azure", CONTAINER, uuid4().hex, azurite, account=ACCOUNT)
    bare.setenv("AZURE_STORAGE_SAS_TOKEN", shared_access_signature())
    store = open_store(location, Access(timeout_secs=SECS))
    write_to(store)
    (found,) = store.list()
    with store.open(found.path) as file:
        assert file.read() == b"x"


@pytest.mark.usefixtures("bare")
def test_azure_by_the_accounts_key(storage: Answering) -> None:
    """Each request is signed with it."""
    write_to(azure_store(storage, base64.b64encode(b"key").decode()))
    (question,) = storage.asked
    assert question.fields["authorization"].startswith("SharedKey account:")


AZURE: dict[str, tuple[dict[str, str], Callable[[Question], bool]]] = {
    "client secret": (
        {
            "AZURE_CLIENT_ID": "me",
            "AZURE_CLIENT_SECRET": "secret",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_AUTHORITY_HOST": "{endpoint}",
        },
        lambda question: (
            question.path == "/tenant/oauth2/v2.0/token"
            and b"client_id=me&client_secret=secret" in question.body
        ),
    ),
    "workload identity": (
        {
            "AZURE_CLIENT_ID": "me",
            "AZURE_FEDERATED_TOKEN_FILE": "{folder}/token",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_AUTHORITY_HOST": "{endpoint}",
        },
        lambda question: (
            question.path == "/tenant/oauth2/v2.0/token"
            and b"client_assertion=the+pod%27s+token" in question.body
        ),
    ),
    "managed identity": (
        {"IDENTITY_ENDPOINT": "{endpoint}/token", "IDENTITY_HEADER": "x"},
        lambda question: (
            question.fields.get("metadata") == "true"
            and "resource=https%3A%2F%2Fstorage.azure.com" in question.path
        ),
    ),
}
"""Each way to a token: its variables, and how it is known by who gives tokens."""


def token_is_renewed(store: Store, storage: Answering) -> None:
    """A token that is about to expire is followed by one that is not."""
    write_to(store)
    assert storage.asked[-1].fields["authorization"] == "Bearer good for 30"

    def carries_the_next() -> bool:
        write_to(store)
        return storage.asked[-1].fields["authorization"] == "Bearer good for 3600"

    wait_until(carries_the_next, WAIT_SECS, lambda: "the token was not renewed")


@pytest.mark.parametrize("way", AZURE)
def test_azure_by_a_token(
    bare: pytest.MonkeyPatch, storage: Answering, tmp_path: Path, way: str
) -> None:
    """It is asked for once while it is good, and again when it is about to expire."""
    variables, is_right = AZURE[way]
    lasts = [3600]
    (tmp_path / "token").write_text("the pod's token")

    def give(question: Question) -> Reply:
        if not is_right(question):
            return Reply(status=401)
        secs = lasts.pop(0)
        token = {
            "access_token": f"good for {secs}",
            "token_type": "Bearer",
            "expires_in": secs,
            "expires_on": str(int(datetime.now(UTC).timestamp()) + secs),
        }
        return Reply(json.dumps(token))

    with Answering(give) as authority:
        for name, value in variables.items():
            bare.setenv(name, value.format(endpoint=authority.endpoint, folder=tmp_path))
        store = azure_store(storage)
        write_to(store)
        write_to(store)
        assert len(authority.asked) == 1
        lasts[:] = [30, 3600]
        token_is_renewed(azure_store(storage), storage)
        assert len(authority.asked) == 3


@pytest.mark.parametrize("by_file", [True, False])
def test_google_by_a_service_account(
    bare: pytest.MonkeyPatch,
    tmp_path: Path,
    tls: ssl.SSLContext,
    by_file: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Its key, as the setting or in a file, signs a token that Google can check."""
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "me@project.example",
        "private_key": pem.decode(),
        "private_key_id": "first",
    }
    (tmp_path / "key.json").write_text(json.dumps(account))
    with Answering(taken, tls) as storage:
        if by_file:
            bare.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        secret = "" if by_file else json.dumps(account)
        access = Access(secret=secret, timeout_secs=SECS, ca_file=tmp_path / "ca.pem")
        write_to(open_store(Location("gcs", BUCKET, "", storage.endpoint), access))
        (question,) = storage.asked
    signed, _, signature = question.fields["authorization"].removeprefix("Bearer ").rpartition(".")
    private.public_key().verify(
        decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    head, claims = (json.loads(decoded(part)) for part in signed.split("."))
    assert (head["alg"], head["kid"]) == ("RS256", "first")
    assert claims["iss"] == claims["sub"] == "me@project.example"
    assert claims["exp"] > datetime.now(UTC).timestamp()


def decoded(part: str) -> bytes:
    """A part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_google_by_the_machines_account(
    bare: pytest.MonkeyPatch, tmp_path: Path, tls: ssl.SSLContext
) -> None:
    """Compute Engine, Cloud Run, GKE: the metadata server gives a token, and another in time."""
    lasts = [30, 3600]

    def give(question: Question) -> Reply:
        if question.fields.get("metadata-flavor") != "Google":
            return Reply(status=403)
        secs = lasts.pop(0)
        return Reply(json.dumps({"access_token": f"good for {secs}", "expires_in": secs}))

    with Answering(give) as metadata, Answering(taken, tls) as storage:
        bare.setenv("GCE_METADATA_HOST", metadata.endpoint.removeprefix("http://"))
        access = Access(timeout_secs=SECS, ca_file=tmp_path / "ca.pem")
        store = open_store(Location("gcs", BUCKET, "", storage.endpoint), access)
        token_is_renewed(store, storage)
        assert len(metadata.asked) == 2
