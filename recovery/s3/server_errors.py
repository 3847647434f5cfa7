"""What an error of S3 means, and what to do about it. The remedy names the setting."""

from botocore.exceptions import ClientError

from recovery.errors import StoreError, StoreSilent
from recovery.s3.bucket import Bucket

KEYS = "correct the {what} key ({variable}, or the profile of requorum:{at}.profile)"
ACCESS_KEY = KEYS.format(what="access", variable="AWS_ACCESS_KEY_ID", at="{at}")
SECRET_KEY = KEYS.format(what="secret", variable="AWS_SECRET_ACCESS_KEY", at="{at}")
NO_BUCKET = "create the bucket, or correct requorum:{at}.bucket"
REGION = "set requorum:{at}.region to the bucket's region{region}"
NO_LOCK = "remove requorum:backup.lock, or name a bucket that was created with Object Lock"
KMS_KEY = "correct requorum:backup.encryption.kmsKeyId, or allow this access key to use that KMS key"
CUSTOMER_KEY = (
    "name the key that encrypted the object in requorum:backup.encryption.keyFile, or allow this access key {action}"
)
POLICY = (
    "give the nodes' credentials the policy that `requorum policy` prints, and update it when managers, bucket or "
    "encryption change"
)
NOT_OFFERED = "list what the server supports (requorum s3), then remove the setting that needs more"
REMEDIES = {
    "NoSuchBucket": NO_BUCKET,
    "404": NO_BUCKET,
    "InvalidAccessKeyId": ACCESS_KEY,
    "XAdminUserNotFound": ACCESS_KEY,
    "SignatureDoesNotMatch": SECRET_KEY,
    "AccessDenied": "allow this access key {action} below the prefix in requorum:{at}.bucket",
    "403": "correct the access key, or allow it {action} below the prefix in requorum:{at}.bucket",
    "NoSuchKey": "list the copies: requorum copies list",
    "RequestTimeTooSkewed": "correct this machine's clock{server_clock}",
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
"""The action in a policy, if its name differs from the request's."""
READS = ("GetObject", "HeadObject")
NOT_OFFERED_STATUS = (405, 501)
DENIED_STATUS = (401, 403)


def explain(error: ClientError, doing: str, site: Bucket, at: str) -> StoreError:
    """The server's answer as an error whose remedy names the setting; ``at`` is the key of the site's settings."""
    code, status = code_of(error), status_of(error)
    given = {"at": at, "action": _action(error, site), "region": _region(error), "server_clock": _clock(error)}
    template = _remedy(error, code, site)
    remedy = template.format(**given)
    message = error.response["Error"].get("Message", "")
    why = f"{code}: {message}"
    if status >= 500 and status not in NOT_OFFERED_STATUS:
        return StoreSilent(doing, why, remedy=remedy, code="s3-silent")
    if template in (NO_LOCK, NOT_OFFERED):
        return StoreError(doing, why, remedy=remedy, code="s3-not-supported")
    if status in DENIED_STATUS:
        return StoreError(doing, why, remedy=remedy, code="s3-denied")
    return StoreError(doing, why, remedy=remedy, code="s3-refused")


def code_of(error: ClientError) -> str:
    """S3's error code; empty where there is none."""
    return str(error.response["Error"].get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status; 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_not_offered(error: ClientError) -> bool:
    """Whether the server answers that it does not support this request."""
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
    return REMEDIES.get(code, "look for the request in the S3 server's log")


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
    return f": the server's clock says {says}" if says else ""
