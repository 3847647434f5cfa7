"""Tests of the reference, of the site, and of what pages say."""
