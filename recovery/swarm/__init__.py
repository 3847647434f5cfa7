"""What a swarm is, as values and file formats. Has no effects."""
