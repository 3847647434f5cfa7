"""Every edit of a stack file, with every state of the managers, on the fake swarm; some also on the lab."""
