"""What a storage's errors mean, and what an operator can do about each.

Knows the words of S3, R2, Google, Azure and of those that speak like them, and of the network.
Must not know who asked. What an operator can mend, or what passes, is ``StorageUnavailableError``;
what no repetition cures is ``StorageRefusedError``.
"""

import re
from dataclasses import dataclass
from html import unescape
from typing import Final

from otlp2parquet.errors import StorageError, StorageRefusedError, StorageUnavailableError

_LONGEST_DETAIL: Final = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """One kind of trouble: the words by which it is known, and what is said of it."""

    words: re.Pattern[str]
    meaning: str
    kind: type[StorageError] = StorageUnavailableError


def _cause(words: str, meaning: str, kind: type[StorageError] = StorageUnavailableError) -> Cause:
    return Cause(re.compile(words, re.IGNORECASE), meaning, kind)


THROTTLED: Final = _cause(
    r"SlowDown|Slow Down|reduce your request rate|TooManyRequests|ServerBusy|rateLimitExceeded"
    r"|RequestLimitExceeded|Throttl|status(?: code)?: (?:429|503)\b|ServiceUnavailable",
    "the storage asks to slow down; fewer requests are sent for a while",
)
NO_BUCKET: Final = _cause(
    r"NoSuchBucket|bucket does not exist|ContainerNotFound|container does not exist",
    "there is no such bucket or container: make it, or name another",
)

# The first whose words are found says it, so the narrower ones come first.
CAUSES: Final = (
    NO_BUCKET,
    _cause(
        r"RequestTimeTooSkewed|difference between the request time",
        "this machine's clock is wrong: set it (NTP)",
    ),
    _cause(
        r"ExpiredToken|TokenRefreshRequired|token (included in the request )?(is|has) expired"
        r"|token has expired|SSOTokenLoadError|InvalidGrant",
        "the credentials have expired: renew them (for an AWS profile: aws sso login)",
    ),
    _cause(
        r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint"
        r"|incorrectly configured region|TemporaryRedirect",
        "the bucket is in another region: set the region (storage.s3.region, AWS_REGION)",
    ),
    _cause(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|InvalidIdentityToken"
        r"|AuthenticationFailed"
        r"|InvalidAuthenticationInfo|Unauthenticated|NoAuthenticationInformation|XAdminUserNotFound"
        r"|invalid_client|status(?: code)?: 401\b",
        "the credentials are not accepted: check the keys, and that they are for this endpoint",
    ),
    _cause(
        r"169\.254\.169\.254|instance metadata|metadata\.google\.internal|Missing ?AccessKey"
        r"|NoCredentials|Unable to locate credentials|credentials were not properly initialized",
        "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
        "or the keys of the storage's section; or give the machine a role",
    ),
    _cause(
        r"AccessDenied|Access Denied|AuthorizationPermissionMismatch|AuthorizationFailure"
        r"|PermissionDenied|Forbidden|status(?: code)?: 403\b|AllAccessDisabled",
        "no permission: these credentials need to read, write, list and delete objects below the "
        "prefix (s3:GetObject, s3:PutObject, s3:ListBucket, s3:DeleteObject)",
    ),
    THROTTLED,
    _cause(
        r"EntityTooLarge|KeyTooLong|InvalidObjectName|InvalidBucketName|InvalidURI"
        r"|InvalidResourceName|InvalidPath|NotImplemented|NotSupported|status(?: code)?: 501\b",
        "the storage takes no such name, size or request",
        StorageRefusedError,
    ),
    _cause(
        r"dns error|failed to lookup address|Name or service not known|nodename nor servname"
        r"|Could not resolve",
        "the host is unknown: check the endpoint, the region, and the name service",
    ),
    _cause(
        r"invalid peer certificate|InvalidCertificate|UnknownIssuer|certificate verify failed"
        r"|CertificateError",
        "the certificate of the endpoint is not trusted: name its authority in storage.ca_file",
    ),
    _cause(
        r"InvalidContentType|corrupt message|wrong version number|SSLError",
        "what answers there does not speak TLS: check the endpoint",
    ),
    _cause(
        r"BadScheme|URL scheme is not allowed",
        "plain HTTP is only spoken to an endpoint that begins with http://",
    ),
    _cause(
        r"Connection ?refused|ConnectError|tcp connect error|EndpointConnectionError|Unreachable",
        "nothing answers there: check the endpoint, and whether the storage is up",
    ),
    _cause(r"TimedOut|timed out|Timeout\b|TimeoutError|deadline has elapsed", "no answer in time"),
    _cause(
        r"IncompleteMessage|ConnectionReset|connection reset|ConnectionClosed|BrokenPipe"
        r"|UnexpectedEof|end of file before message|ServerDisconnected",
        "the connection was cut",
    ),
    _cause(
        r"ConditionalRequestConflict|status(?: code)?: 409\b",
        "another request for the same name is under way",
    ),
)

_CONFLICT: Final = re.compile(r"ConditionalRequestConflict|status(?: code)?: 409\b")
_XML_CODE: Final = re.compile(r"<Code>([^<]{1,100})</Code>")
_XML_MESSAGE: Final = re.compile(r"<Message>([^<]{1,300})")
_SETTINGS: Final = re.compile(r"retry_timeout: \S+")
_REST: Final = re.compile(r"\s*Debug source:.*", re.DOTALL)


def storage_error(what: str, error: Exception) -> StorageError:
    """The error of a store for what a library raised; ``what`` says what could not be done."""
    # obstore shows its own settings beside what happened.
    text = _SETTINGS.sub("", f"{type(error).__name__} {error} {error.__cause__ or ''}")
    detail = _detail(error)
    for cause in CAUSES:
        if cause.words.search(text):
            return cause.kind(f"{what}: {cause.meaning} ({detail})")
    return StorageUnavailableError(f"{what}: {detail}")


def is_throttled(text: str) -> bool:
    """Whether an error says that there were too many requests."""
    return THROTTLED.words.search(text) is not None


def is_conflict(text: str) -> bool:
    """Whether a name is not taken, but about to be perhaps: another request for it is under way.

    Azure says the same number (409) for a name that is taken, with other words.
    """
    return _CONFLICT.search(text) is not None and "BlobAlreadyExists" not in text


def is_unknown_place(text: str) -> bool:
    """Whether it is not the object that is missing but what it would be in."""
    return NO_BUCKET.words.search(text) is not None


def _detail(error: Exception) -> str:
    """What the storage said, in a line."""
    text = str(error) or type(error).__name__
    code, message = _XML_CODE.search(text), _XML_MESSAGE.search(text)
    if code is not None:
        text = code[1] if message is None else f"{code[1]}: {unescape(message[1])}"
    else:
        text = _REST.sub("", text)
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"
