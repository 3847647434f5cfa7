"""Tells a forge (GitHub, Gitea, Forgejo, GitLab) about a cluster: comments, issues and requests to merge."""
