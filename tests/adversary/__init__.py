"""What each actor of docs/security.md can try, with what that actor has. One file for each actor."""
