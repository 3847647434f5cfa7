"""The test laboratory: real Docker engines, an S3 server and faults on one machine."""
