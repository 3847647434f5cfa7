"""What a production swarm must keep, as policies of Pulumi."""
