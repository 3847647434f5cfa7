"""What an error of S3 means, and what to do about it: the setting is named."""

from botocore.exceptions import ClientError

from recovery.errors import StoreError, StoreSilent
from recovery.s3.bucket import Bucket

KEYS = "correct the {what} key ({variable}, or the profile of requorum:{at}.profile)"
ACCESS_KEY = KEYS.format(what="access", variable="AWS_ACCESS_KEY_ID", at="{at}")
SECRET_KEY = KEYS.format(what="secret", variable="AWS_SECRET_ACCESS_KEY", at="{at}")
NO_BUCKET = "create the bucket, or correct requorum:{at}.bucket"
REGION = "set requorum:{at}.region to the bucket's{region}"
NO_LOCK = "take requorum:backup.lock out, or name a bucket that was made with Object Lock"
KMS_KEY = "correct requorum:backup.encryption.kmsKeyId, or allow this key to use it"
CUSTOMER_KEY = (
    "name the key that the object was written with in requorum:backup.encryption.keyFile, or allow this key {action}"
)
POLICY = (
    "allow the nodes' credentials what `requorum policy` prints: again, once managers, bucket or encryption changed"
)
NOT_OFFERED = "see what this server offers (requorum s3), and take out what asks for more"
REMEDIES = {
    "NoSuchBucket": NO_BUCKET,
    "404": NO_BUCKET,
    "InvalidAccessKeyId": ACCESS_KEY,
    "XAdminUserNotFound": ACCESS_KEY,
    "SignatureDoesNotMatch": SECRET_KEY,
    "AccessDenied": "allow this key {action} below the prefix in requorum:{at}.bucket",
    "403": "correct the key, or allow it {action} below the prefix in requorum:{at}.bucket",
    "NoSuchKey": "list what is there: requorum backups",
    "RequestTimeTooSkewed": "set this machine's clock{server_clock}",
    "PermanentRedirect": REGION,
    "AuthorizationHeaderMalformed": REGION,
    "IllegalLocationConstraintException": REGION,
    "301": REGION,
    "ObjectLockConfigurationNotFoundError": NO_LOCK,
    "NotImplemented": NOT_OFFERED,
    "501": NOT_OFFERED,
    "MethodNotAllowed": NOT_OFFERED,
    "405": NOT_OFFERED,
}
"""By S3's error code; a HEAD has no code, and then it is the HTTP status."""
ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "HeadObject": "s3:GetObject",
    "CreateMultipartUpload": "s3:PutObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
}
"""The action of a policy, where it is called otherwise than the request."""
READS = ("GetObject", "HeadObject")
NOT_OFFERED_STATUS = (405, 501)


def explain(error: ClientError, doing: str, site: Bucket, at: str) -> StoreError:
    """What the server answered, as an error that names the setting; ``at`` is the key of the site's settings."""
    code, status = code_of(error), status_of(error)
    given = {"at": at, "action": _action(error, site), "region": _region(error), "server_clock": _clock(error)}
    remedy = _remedy(error, code, site).format(**given)
    message = error.response["Error"].get("Message", "")
    kind = StoreSilent if status >= 500 and status not in NOT_OFFERED_STATUS else StoreError
    return kind(doing, f"{code}: {message}", remedy=remedy)


def code_of(error: ClientError) -> str:
    """S3's error code; empty where there is none."""
    return str(error.response["Error"].get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status; 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_not_offered(error: ClientError) -> bool:
    """Whether the server says that it does not know such a request."""
    return status_of(error) in NOT_OFFERED_STATUS or code_of(error) in ("NotImplemented", "MethodNotAllowed")


def _remedy(error: ClientError, code: str, site: Bucket) -> str:
    message = error.response["Error"].get("Message", "").lower()
    customer = site.encryption == "customer"
    if customer and error.operation_name in READS and status_of(error) in (400, 403):
        return CUSTOMER_KEY
    if code.startswith("KMS.") or (code == "AccessDenied" and "kms" in message):
        return KMS_KEY
    if code in ("InvalidRequest", "InvalidArgument") and site.lock and ("lock" in message or "retain" in message):
        return NO_LOCK
    if code == "AccessDenied" and site.write_only:
        return POLICY
    return REMEDIES.get(code, "see the S3 server's log")


def _action(error: ClientError, site: Bucket) -> str:
    action = ACTIONS.get(error.operation_name, f"s3:{error.operation_name}")
    if action == "s3:PutObject" and site.lock:
        action += " and s3:PutObjectRetention"
    if action == "s3:GetObject" and site.as_of:
        action += " and s3:GetObjectVersion"
    return action


def _region(error: ClientError) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = headers.get("x-amz-bucket-region") or error.response["Error"].get("Region")
    return f": {found}" if found else ""


def _clock(error: ClientError) -> str:
    says = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return f"; the server's says {says}" if says else ""
