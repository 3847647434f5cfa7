"""Every way to lose managers, with every state of the copies: each case on a real swarm, judged from outside."""
