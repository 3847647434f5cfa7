"""The manual: the reference pages made of the code, and the site made of README, docs/ and these pages."""
